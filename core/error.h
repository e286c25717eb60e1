// Helpers to throw binocle::Error and to check invariants.
//
// Throw* is for what a user can cause. CHECK is for what the loader has already proved: it aborts, and a user who can trigger one
// has found a bug.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

#include "binocle/error.h"

namespace binocle {

namespace internal {
template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& detail);
}  // namespace internal

template <typename... Parts>
[[noreturn]] void Throw(Code code, const Parts&... parts) {
  throw Error(code, internal::Concat(parts...));
}

template <typename... Parts>
[[noreturn]] void ThrowInvalid(const Parts&... parts) {
  throw Error(Code::kInvalidArgument, internal::Concat(parts...));
}

// INVALID_ARGUMENT about an option of the public structs: its name, which Error::option() will tell, and how the sentence goes on.
//   ThrowOption("stop", "is empty, expected at least one character");
template <typename... Parts>
[[noreturn]] void ThrowOption(const char* option, const Parts&... rest) {
  throw Error(Code::kInvalidArgument, internal::Concat(option, " ", rest...), option);
}

// Throws like ThrowOption unless low ≤ value ≤ high.
void CheckOption(const char* option, int64_t value, int64_t low, int64_t high);
void CheckOption(const char* option, double value, double low, double high);

// `parse` reads the value of an option and begins its error with the option's name.
template <typename Parse>
auto ParseOption(const char* option, const Parse& parse) {
  try {
    return parse();
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), option);
  }
}

// The same error with `prefix: ` in front, so that context grows outwards while the code stays the one nearest the cause. It is no
// longer about an option.
Error WithContext(const Error& error, const std::string& prefix);

// Text from outside, made safe for a one-line message: control characters and invalid bytes escaped, cut at `limit` bytes.
std::string Printable(std::string_view text, size_t limit = 200);

}  // namespace binocle

#define BINOCLE_CHECK(condition, ...)                                             \
  do {                                                                            \
    if (!(condition)) [[unlikely]]                                                \
      ::binocle::internal::CheckFailed(__FILE__, __LINE__, #condition,            \
                                       ::binocle::internal::Concat(__VA_ARGS__)); \
  } while (false)
