// EXIF orientation: finding it and applying it. ExifOrientation in image_header.h does the finding in a whole file.
#pragma once

#include <string_view>

#include "vision/image.h"

namespace binocle {

// Tag 0x0112 in the first directory of a TIFF structure ("II*\0…", "MM\0*…"); 1 if absent, malformed or out of range.
int TiffOrientation(std::string_view tiff);

// The upright picture. The orientation says on which sides of it the stored row 0 and column 0 lie:
//   1 top, left    2 top, right    3 bottom, right    4 bottom, left
//   5 left, top    6 right, top    7 right, bottom    8 left, bottom
// so 5 to 8 swap width and height. Reference: Pillow's ImageOps.exif_transpose.
Image ApplyOrientation(Image image, int orientation);

}  // namespace binocle
