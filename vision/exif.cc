#include "vision/exif.h"

#include <cstring>
#include <string>
#include <utility>

#include "core/error.h"
#include "vision/byte_order.h"
#include "vision/image_header.h"
#include "vision/image_segments.h"

namespace binocle {
namespace {

constexpr std::string_view kExifPrefix{"Exif\0\0", 6};
constexpr uint32_t kOrientationTag = 0x0112;

// JPEG puts the prefix before the TIFF structure; PNG and WebP should not, but some writers do.
std::string_view WithoutPrefix(std::string_view exif) {
  return exif.starts_with(kExifPrefix) ? exif.substr(kExifPrefix.size()) : exif;
}

std::string_view FindExif(std::string_view bytes, ImageFormat format) {
  const std::string
      where;  // the structure has been checked: no error is expected here, and none is shown
  switch (format) {
    case ImageFormat::kJpeg:
      for (JpegSegments segments(bytes, where); segments.Next();) {
        if (segments.marker() == JpegSegments::kStartOfScan) break;
        if (segments.marker() == JpegSegments::kApp1 && segments.payload().starts_with(kExifPrefix))
          return segments.payload();
      }
      break;
    case ImageFormat::kPng:
      for (PngChunks chunks(bytes, where); chunks.Next();) {
        if (chunks.type() == "eXIf") return chunks.payload();
      }
      break;
    case ImageFormat::kWebp:
      for (WebpChunks chunks(bytes, where); chunks.Next();) {
        if (chunks.type() == "EXIF") return chunks.payload();
      }
      break;
  }
  return {};
}

}  // namespace

int TiffOrientation(std::string_view tiff) {
  const bool little = tiff.starts_with("II");
  if (tiff.size() < 8 || (!little && !tiff.starts_with("MM"))) return 1;
  const auto u16 = [&](size_t at) {
    return little ? LittleEndian16(tiff, at) : BigEndian16(tiff, at);
  };
  const auto u32 = [&](size_t at) {
    return little ? LittleEndian32(tiff, at) : BigEndian32(tiff, at);
  };
  const size_t directory = u32(4);
  if (u16(2) != 42 || directory > tiff.size() - 2) return 1;
  const size_t entries = u16(directory);
  for (size_t i = 0; i < entries; ++i) {
    // Entry: tag (2 bytes), type (2), count (4), value (4).
    const size_t at = directory + 2 + 12 * i;
    if (at + 12 > tiff.size()) return 1;
    if (u16(at) != kOrientationTag) continue;
    constexpr uint32_t kShort = 3;
    constexpr uint32_t kLong = 4;
    const uint32_t type = u16(at + 2);
    if (u32(at + 4) != 1 || (type != kShort && type != kLong)) return 1;
    const uint32_t value = type == kShort ? u16(at + 8) : u32(at + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int ExifOrientation(std::string_view bytes, ImageFormat format) {
  return TiffOrientation(WithoutPrefix(FindExif(bytes, format)));
}

Image ApplyOrientation(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  // upright(x, y) = stored(u, v): swap first, then mirror the stored axes.
  const bool swap = orientation >= 5;
  const bool flip_u = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_v = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image upright(swap ? image.height : image.width, swap ? image.width : image.height);
  for (int64_t y = 0; y < upright.height; ++y) {
    uint8_t* out = upright.row(y);
    for (int64_t x = 0; x < upright.width; ++x) {
      const int64_t u = swap ? y : x;
      const int64_t v = swap ? x : y;
      const uint8_t* in =
          image.row(flip_v ? image.height - 1 - v : v) + 3 * (flip_u ? image.width - 1 - u : u);
      std::memcpy(out + 3 * x, in, 3);
    }
  }
  return upright;
}

}  // namespace binocle
