#include "service/engine/overlay.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "binocle/explain.h"
#include "core/error.h"
#include "vision/encode_png.h"
#include "vision/resize.h"

namespace binocle {
namespace {

constexpr double kMostOpaque = 0.85;

double SrgbFromLinear(double v) {
  v = std::clamp(v, 0.0, 1.0);
  return 255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055);
}

// OKLab (B. Ottosson, 2020) to sRGB.
std::array<double, 3> SrgbFromOklab(double lightness, double a, double b) {
  const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
  const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
  const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
  return {SrgbFromLinear(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          SrgbFromLinear(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          SrgbFromLinear(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

}  // namespace

std::array<double, 3> HeatColour(double level) {
  const double lightness = 0.25 + 0.70 * level;
  const double hue = (-60 + 165 * level) * std::numbers::pi / 180;  // violet to yellow through red
  const double chroma = 0.08 + 0.28 * level * (1 - 0.75 * level);
  return SrgbFromOklab(lightness, chroma * std::cos(hue), chroma * std::sin(hue));
}

Image Overlay(const Image& picture, const OverlayMap& map, int64_t side) {
  const int64_t shorter = std::min(picture.width, picture.height);
  const int64_t scale = std::max<int64_t>(1, (side + shorter - 1) / shorter);
  Image out = Resize(picture, picture.width * scale, picture.height * scale, Filter::kBicubic);
  const double peak =
      map.peak > 0 ? map.peak : *std::max_element(map.weights.begin(), map.weights.end());
  for (int64_t y = 0; y < out.height; ++y) {
    const int64_t row = y * map.rows / out.height;
    for (int64_t x = 0; x < out.width; ++x) {
      const auto patch = static_cast<size_t>(row * map.cols + x * map.cols / out.width);
      const double level = peak > 0 ? std::clamp(map.weights[patch] / peak, 0.0, 1.0) : 0;
      const std::array<double, 3> colour = HeatColour(level);
      const double opacity = kMostOpaque * std::sqrt(level);
      uint8_t* pixel = out.row(y) + 3 * x;
      for (size_t c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + opacity * (colour[c] - pixel[c])));
    }
  }
  return out;
}

void CheckOverlay(const OverlayOptions& options) {
  CheckOption("side", options.side, 16, 4096);
  CheckOption("peak", options.peak, 0, 1);
}

std::string RenderOverlay(const Explanation& e, const AttentionMap& map, int64_t image,
                          const OverlayOptions& options) {
  CheckOverlay(options);
  if (image < 0 || image >= std::ssize(e.seen) || image >= std::ssize(map.patches)) {
    ThrowInvalid("overlay: there is no map of picture ", image, ", the explanation has ",
                 e.seen.size(), " pictures and the map ", map.patches.size());
  }
  const SeenPicture& seen = e.seen[static_cast<size_t>(image)];
  const std::vector<float>& weights = map.patches[static_cast<size_t>(image)];
  const bool fits = seen.width > 0 && seen.height > 0 && e.rows > 0 && e.cols > 0 &&
                    std::ssize(seen.rgb) == 3 * seen.width * seen.height &&
                    std::ssize(weights) == e.rows * e.cols;
  if (!fits) ThrowInvalid("overlay: the map of picture ", image, " does not fit it");
  Image picture;
  picture.width = seen.width;
  picture.height = seen.height;
  picture.rgb = seen.rgb;
  return EncodePng(
      Overlay(picture, {.weights = weights, .rows = e.rows, .cols = e.cols, .peak = options.peak},
              options.side));
}

}  // namespace binocle
