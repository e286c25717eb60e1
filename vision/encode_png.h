// Pictures as PNG files.
#pragma once

#include <string>

#include "vision/image.h"

namespace binocle {

// The bytes of an eight-bit RGB PNG that decodes to the same pixels. INVALID_ARGUMENT for a picture without pixels; UNIMPLEMENTED in
// a build without OpenCV (opencv/encode_png.cc, encode_png_none.cc).
std::string EncodePng(const Image& image);

}  // namespace binocle
