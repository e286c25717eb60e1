// Resampling of eight-bit RGB, equal to Pillow's Image.resize bit for bit.
//
// A filter of support s (in output pixels) covers s·max(1, in/out) input pixels each side of its centre
// (xx + 0.5)·in/out, so shrinking is antialiased. Weights are computed and normalised to sum 1 in double, rounded half
// away from zero to 22 fractional bits, and applied in 32-bit integers in two passes with 8-bit pixels between them.
// Rows come first, except that
//
//   columns come first where  height < in_height  and  in_height − height > 2·(in_width − width)
//
// which is the rule of Pillow 13.0.0 (found by measuring 4,500 sizes; we know no document). Pillow ≤ 12 always starts
// with rows, and the orders differ by a unit here and there. A pass whose size does not change is skipped. kNearest is
// the pixel under the centre. OpenCV's resize differs (other weights, no antialiasing).
//
//   Image small = Resize(image, 336, 336, Filter::kBicubic);
//
// Reference: Pillow 13.0.0. One thread.
#pragma once

#include <cstdint>

#include "vision/image.h"

namespace binocle {

// Pillow's numbers, which preprocessor_config.json uses ("resample": 3).
enum class Filter : uint8_t {
  kNearest = 0,
  kLanczos = 1,
  kBilinear = 2,
  kBicubic = 3,
  kBox = 4,
  kHamming = 5
};

// The largest picture between the passes and the largest result.
inline constexpr int64_t kMaxResizedPixels = 100'000'000;

// INVALID_ARGUMENT for an empty picture or target; RESOURCE_EXHAUSTED over kMaxResizedPixels.
Image Resize(const Image& image, int64_t width, int64_t height, Filter filter);

// The part `region` of Resize(image, width, height, filter), computed without the rest: a centre crop costs what it
// shows, even where the whole would be 70 x 1,400,000. `region` lies inside width x height.
Image ResizeRegion(const Image& image, int64_t width, int64_t height, Filter filter,
                   const Region& region);

}  // namespace binocle
