#include "tests/testing/errors.h"

#include "binocle/error.h"

namespace binocle::testing {

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace binocle::testing
