// Pictures from bytes or files: JPEG, PNG and WebP, to upright eight-bit RGB.
//
//   Image image = ReadImage("cat.jpg", {});
//
// Orientation   EXIF orientation is applied (Pillow: ImageOps.exif_transpose) unless exif is false.
// Alpha         over white: out = (c·a + 255·(255 − a) + 127) / 255 in integers, which is Pillow's alpha_composite and
//               paste(mask) for all 65,536 (c, a). PNG's transparent colour or palette entries have alpha 0.
// Grey, palette, 1 to 4 bits: expanded as Pillow's convert("RGB") does.
// 16 bits       the high byte. Pillow does so for colour, but clips 16-bit grey to 255: most such pictures turn white.
// CMYK JPEG     as inverted Adobe CMYK, without colour profiles; may differ from Pillow's formula by 1.
// Animated PNG  its first picture.
//
// Damage inside a complete JPEG scan is no error (nor is it in Pillow).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "vision/image.h"
#include "vision/image_header.h"

namespace binocle {

// Limits are checked before a pixel is decoded or a buffer is allocated.
struct DecodeOptions {
  bool exif = true;
  int64_t max_bytes = int64_t{64} << 20;
  int64_t max_pixels =
      100'000'000;            // decoding holds up to 6 bytes a pixel, 11 for 16-bit PNG with alpha
  int64_t max_side = 65'535;  // what JPEG can say; bounds the work of resizing thin strips
};

// What can be said without decoding a pixel: throws what DecodeImage throws before it decodes.
ImageHeader CheckImage(std::string_view bytes, const DecodeOptions& options,
                       const std::string& where);

// The size that DecodeImage gives it, of bytes that CheckImage accepted.
struct ImageSize {
  int64_t width = 0;
  int64_t height = 0;
};
ImageSize UprightSize(const ImageHeader& header, std::string_view bytes,
                      const DecodeOptions& options);

// `where` names the picture in errors ("cat.jpg", "images[0]").
//   INVALID_ARGUMENT    empty, not a JPEG, PNG or WebP file, truncated, corrupt, a side of 0
//   RESOURCE_EXHAUSTED  over a limit of `options`, or out of memory
//   UNIMPLEMENTED       a kind of picture named in image_header.h; any picture in a build without OpenCV
Image DecodeImage(std::string_view bytes, const DecodeOptions& options, const std::string& where);

// DecodeImage from a regular file; also NOT_FOUND, PERMISSION_DENIED, and INVALID_ARGUMENT for a directory, pipe or
// device.
Image ReadImage(const std::filesystem::path& path, const DecodeOptions& options);

// Loads what decodes, so that the first picture does not wait for it: a tenth of a second or two. What is wrong with it that picture tells.
void PrepareDecoder() noexcept;

namespace internal {
// The codec behind DecodeImage (opencv/decode.cc or decode_none.cc): checked bytes to RGB, orientation as stored.
Image DecodePixels(std::string_view bytes, const ImageHeader& header, const std::string& where);
}  // namespace internal

}  // namespace binocle
