// Any bytes as a picture: header, structure, PNG rebuilding, EXIF and decoder, with limits small enough to be fast.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "vision/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const binocle::DecodeOptions limits{
      .max_bytes = 1 << 20, .max_pixels = 1 << 16, .max_side = 4096};
  try {
    const binocle::Image image = binocle::DecodeImage(bytes, limits, "fuzz");
    BINOCLE_CHECK(image.width > 0 && image.height > 0 &&
                      image.width * image.height <= limits.max_pixels &&
                      image.rgb.size() == static_cast<size_t>(image.width * image.height * 3),
                  image.width, " x ", image.height, ", ", image.rgb.size(), " bytes");
  } catch (const binocle::Error&) {
    // The only exception that may come out.
  }
  return 0;
}
