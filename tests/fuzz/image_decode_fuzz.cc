// libFuzzer entry: header, structure, EXIF and decoder on arbitrary bytes, with limits small enough to be fast.
//   clang++ -std=c++20 -fsanitize=fuzzer,address,undefined …;  image_decode_fuzz tests/data/images
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "binocle/error.h"
#include "vision/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const binocle::DecodeOptions limits{
      .max_bytes = 1 << 20, .max_pixels = 1 << 18, .max_side = 4096};
  try {
    const binocle::Image image = binocle::DecodeImage(bytes, limits, "fuzz");
    if (image.width * image.height * 3 != static_cast<int64_t>(image.rgb.size())) __builtin_trap();
  } catch (const binocle::Error&) {
    // The only exception that may come out.
  }
  return 0;
}
