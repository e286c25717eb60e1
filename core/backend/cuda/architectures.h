// Which devices a list of architectures has code for. Host code, pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace binocle::cuda {

// What our kernels are written in takes cp.async and mma of bf16.
inline constexpr int32_t kLeastMajor = 8;

// Whether one of `list`, CMAKE_CUDA_ARCHITECTURES separated by commas, runs on a device of this compute capability. Of XY-real there is code for X.Y, which
// devices X.Z with Z ≥ Y run as well; of XY-virtual a text that every later device compiles; of XY both; of XYa code for X.Y alone. A list of words (native,
// all) says nothing and is taken to have all.
inline bool BuiltFor(std::string_view list, int32_t major, int32_t minor) {
  if (major < kLeastMajor) return false;
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(one.size() < list.size() ? one.size() + 1 : list.size());
    int32_t number = 0;
    const auto [rest, error] = std::from_chars(one.data(), one.data() + one.size(), number);
    if (error != std::errc()) return true;
    const std::string_view kind(rest, static_cast<size_t>(one.data() + one.size() - rest));
    const int32_t of_major = number / 10, of_minor = number % 10;
    const bool real = kind != "-virtual" && of_major == major && of_minor <= minor;
    const bool text = kind.empty() || kind == "-virtual";
    if (kind.starts_with('a')) {
      if (of_major == major && of_minor == minor) return true;
      continue;
    }
    if (real || (text && number <= major * 10 + minor)) return true;
  }
  return false;
}

}  // namespace binocle::cuda
