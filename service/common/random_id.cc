#include "service/common/random_id.h"

#include <random>
#include <string_view>

namespace binocle {

std::string RandomId() {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr int kLength = 24;
  std::random_device random;
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string id;
  for (int i = 0; i < kLength; ++i) id += kLetters[letter(random)];
  return id;
}

}  // namespace binocle
