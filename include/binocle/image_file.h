// What a picture's file says about itself, without decoding it.
//
//   const binocle::ImageFileInfo info = binocle::CheckImageFile(bytes, 100'000'000, "cat.jpg");
//   std::cout << info.format << ", " << info.width << " x " << info.height;
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "binocle/export.h"

namespace binocle {

struct ImageFileInfo {
  std::string format;  // "JPEG", "PNG", "WebP"
  int64_t width = 0;   // as stored, before EXIF orientation
  int64_t height = 0;
};

// Reads the header and walks the file to its end: what engines check before they decode a pixel. `name` begins the errors' messages.
//   INVALID_ARGUMENT    no JPEG, PNG or WebP file, or one that is cut off or malformed
//   RESOURCE_EXHAUSTED  more than `max_pixels`, or a side above 65535
//   UNIMPLEMENTED       a kind of picture that is not decoded, such as animated WebP
BINOCLE_EXPORT ImageFileInfo CheckImageFile(std::string_view bytes, int64_t max_pixels,
                                            const std::string& name);

}  // namespace binocle
