// Any bytes as a picture: header, structure, PNG rebuilding, EXIF and decoder, with limits small enough to be fast. What looks like
// a PNG file runs once more with its checksums put right, since a changed byte seldom gets past them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "vision/byte_order.h"
#include "vision/decode.h"

namespace {

uint32_t Crc32(std::string_view bytes) {
  uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  return ~crc;
}

// A chunk: length (4 bytes), name (4), payload, CRC of name and payload (4).
std::string WithPngChecksums(std::string png) {
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t length = binocle::BigEndian32(png, at);
    if (length > png.size() - at - 12) break;
    const uint32_t crc = Crc32(std::string_view(png).substr(at + 4, 4 + length));
    for (size_t i = 0; i < 4; ++i)
      png[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
  return png;
}

void Decode(std::string_view bytes) {
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
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Decode(bytes);
  if (bytes.starts_with("\x89PNG")) Decode(WithPngChecksums(std::string(bytes)));
  return 0;
}
