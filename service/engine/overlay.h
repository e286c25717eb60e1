// Maps painted over pictures.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "vision/image.h"

namespace binocle {

struct OverlayMap {
  std::span<const float> weights;  // [rows·cols]
  int64_t rows = 0, cols = 0;      // the picture's height and width in patches
  double peak = 0;                 // the weight with the brightest colour; 0: the largest
};

// The picture, enlarged by a whole number so that its shorter side has `side` pixels at least, and the map on it: every patch in one
// colour, the more opaque the more weight.
Image Overlay(const Image& picture, const OverlayMap& map, int64_t side);

// The colour of `level`, 0 … 1: dark violet, red, orange, pale yellow. Lightness rises evenly (in OKLab), so that equal steps look
// equal and a print in grey keeps the order. Red, green, blue, 0 … 255.
std::array<double, 3> HeatColour(double level);

}  // namespace binocle
