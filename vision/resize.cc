#include "vision/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>
#include <vector>

#include "core/error.h"

namespace binocle {
namespace {

// 8 bits of pixel, 22 of weight and 2 spare, which negative lobes need: the weights' magnitudes add up to at most 1.57
// (lanczos, enlarging 4 pixels to 49), and 255 · 2^22 · 2 still fits.
constexpr int kWeightBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

double Sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

struct Kernel {
  double support;
  double (*weight)(double x);
};

double Box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }
double Bilinear(double x) { return std::max(0.0, 1 - std::abs(x)); }
double Lanczos(double x) { return x >= -3 && x < 3 ? Sinc(x) * Sinc(x / 3) : 0; }

// The window's constants are single precision in Pillow, and show in the last bit.
double Hamming(double x) {
  x = std::abs(x);
  if (x == 0) return 1;
  if (x >= 1) return 0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54F + 0.46F * std::cos(x));
}

// Keys' cubic with a = −1/2.
double Bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

Kernel KernelOf(Filter filter) {
  switch (filter) {
    case Filter::kLanczos: return {3, Lanczos};
    case Filter::kBilinear: return {1, Bilinear};
    case Filter::kBicubic: return {2, Bicubic};
    case Filter::kHamming: return {1, Hamming};
    case Filter::kBox:
    case Filter::kNearest: break;
  }
  return {0.5, Box};
}

// The weights of one axis: output i sums inputs first[i] … first[i] + count[i] − 1 with weights[i·stride …].
struct FilterTaps {
  std::vector<int64_t> first;
  std::vector<int64_t> count;
  std::vector<int32_t> weights;
  int64_t stride = 0;

  const int32_t* of(int64_t i) const { return weights.data() + i * stride; }
};

// One axis of a resize: `in` pixels to `out`, of which [begin, begin + length) are wanted.
struct Axis {
  int64_t in;
  int64_t out;
  int64_t begin;
  int64_t length;
};

FilterTaps ComputeTaps(const Axis& axis, Filter filter) {
  const Kernel kernel = KernelOf(filter);
  const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.out);
  const double stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch;
  const double inverse = 1.0 / stretch;
  FilterTaps taps;
  taps.stride = std::min(static_cast<int64_t>(std::ceil(support)) * 2 + 1, axis.in);
  taps.weights.resize(static_cast<size_t>(taps.stride * axis.length));
  std::vector<double> row(static_cast<size_t>(taps.stride));
  for (int64_t i = 0; i < axis.length; ++i) {
    const double centre = (static_cast<double>(axis.begin + i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const int64_t count = std::min(static_cast<int64_t>(centre + support + 0.5), axis.in) - first;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      row[k] = kernel.weight((static_cast<double>(k + first) - centre + 0.5) * inverse);
      sum += row[k];
    }
    for (int64_t k = 0; k < count; ++k) {
      const double weight = sum != 0 ? row[k] / sum : row[k];
      const double scaled = weight * (1 << kWeightBits);
      taps.weights[i * taps.stride + k] =
          static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

uint8_t Clip(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

// in [1, W, 3] -> out [1, w, 3]
void ResizeRow(const uint8_t* in, const FilterTaps& taps, uint8_t* out) {
  for (size_t x = 0; x < taps.first.size(); ++x, out += 3) {
    const uint8_t* pixel = in + 3 * taps.first[x];
    const int32_t* weight = taps.of(static_cast<int64_t>(x));
    int32_t red = kHalf;
    int32_t green = kHalf;
    int32_t blue = kHalf;
    for (int64_t k = 0; k < taps.count[x]; ++k, pixel += 3) {
      red += pixel[0] * weight[k];
      green += pixel[1] * weight[k];
      blue += pixel[2] * weight[k];
    }
    out[0] = Clip(red);
    out[1] = Clip(green);
    out[2] = Clip(blue);
  }
}

// in [H, W, 3] -> out [h, w, 3], where out's columns are in's from `left` on, and in's row 0 is the taps' input
// `first_row`. Row by row over all columns, so that the inner loop is long and vectorises.
void ResizeColumns(const Image& in, const FilterTaps& taps, int64_t first_row, int64_t left,
                   Image& out) {
  const int64_t samples = out.width * 3;
  std::vector<int32_t> sums(static_cast<size_t>(samples));
  for (int64_t y = 0; y < out.height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int64_t k = 0; k < taps.count[y]; ++k) {
      const uint8_t* row = in.row(taps.first[y] + k - first_row) + 3 * left;
      const int32_t weight = taps.of(y)[k];
      for (int64_t i = 0; i < samples; ++i) sums[i] += row[i] * weight;
    }
    uint8_t* to = out.row(y);
    for (int64_t i = 0; i < samples; ++i) to[i] = Clip(sums[i]);
  }
}

void CheckPixels(int64_t width, int64_t height) {
  if (width > kMaxResizedPixels / height) {
    Throw(Code::kResourceExhausted, "resizing needs ", width, " x ", height,
          " pixels, the limit is ", kMaxResizedPixels);
  }
}

// The input index below the centre of each output. Pillow adds up the step, so its rounding errors are part of the
// contract.
std::vector<int64_t> NearestIndices(const Axis& axis) {
  const double step = static_cast<double>(axis.in) / static_cast<double>(axis.out);
  std::vector<int64_t> indices;
  double at = step * 0.5;
  for (int64_t i = 0; i < axis.begin + axis.length; ++i, at += step) {
    if (i >= axis.begin) indices.push_back(std::min(static_cast<int64_t>(at), axis.in - 1));
  }
  return indices;
}

Image ResizeNearest(const Image& image, const Axis& x_axis, const Axis& y_axis) {
  const std::vector<int64_t> columns = NearestIndices(x_axis);
  const std::vector<int64_t> rows = NearestIndices(y_axis);
  Image out(x_axis.length, y_axis.length);
  for (int64_t y = 0; y < out.height; ++y) {
    const uint8_t* in = image.row(rows[y]);
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < out.width; ++x) std::memcpy(to + 3 * x, in + 3 * columns[x], 3);
  }
  return out;
}

// The inputs that the wanted outputs of an axis reach: [first, first + count).
struct Span {
  int64_t first;
  int64_t count;
};

Span Reach(const FilterTaps& taps) {
  return {taps.first.front(), taps.first.back() + taps.count.back() - taps.first.front()};
}

Image Crop(const Image& image, const Region& region) {
  Image out(region.width, region.height);
  for (int64_t y = 0; y < region.height; ++y) {
    std::memcpy(out.row(y), image.row(region.top + y) + 3 * region.left, 3 * region.width);
  }
  return out;
}

// Rows first. Only those rows are resampled that the wanted part of the columns reaches.
Image RowsThenColumns(const Image& image, const FilterTaps& x_taps, const FilterTaps& y_taps,
                      Image out) {
  const Span rows = Reach(y_taps);
  CheckPixels(out.width, rows.count);
  Image narrow(out.width, rows.count);
  for (int64_t y = 0; y < rows.count; ++y)
    ResizeRow(image.row(rows.first + y), x_taps, narrow.row(y));
  ResizeColumns(narrow, y_taps, rows.first, 0, out);
  return out;
}

Image ColumnsThenRows(const Image& image, FilterTaps x_taps, const FilterTaps& y_taps, Image out) {
  const Span columns = Reach(x_taps);
  CheckPixels(columns.count, out.height);
  Image flat(columns.count, out.height);
  ResizeColumns(image, y_taps, 0, columns.first, flat);
  for (int64_t& first : x_taps.first) first -= columns.first;
  for (int64_t y = 0; y < out.height; ++y) ResizeRow(flat.row(y), x_taps, out.row(y));
  return out;
}

}  // namespace

Image Resize(const Image& image, int64_t width, int64_t height, Filter filter) {
  return ResizeRegion(image, width, height, filter, {.width = width, .height = height});
}

Image ResizeRegion(const Image& image, int64_t width, int64_t height, Filter filter,
                   const Region& region) {
  if (image.width < 1 || image.height < 1 || width < 1 || height < 1) {
    ThrowInvalid("cannot resize ", image.width, " x ", image.height, " pixels to ", width, " x ",
                 height);
  }
  BINOCLE_CHECK(region.left >= 0 && region.top >= 0 && region.width > 0 && region.height > 0 &&
                    region.left + region.width <= width && region.top + region.height <= height,
                "region outside the picture");
  CheckPixels(region.width, region.height);
  const Axis x_axis{image.width, width, region.left, region.width};
  const Axis y_axis{image.height, height, region.top, region.height};
  if (filter == Filter::kNearest) return ResizeNearest(image, x_axis, y_axis);
  if (x_axis.in == x_axis.out && y_axis.in == y_axis.out) return Crop(image, region);
  Image out(region.width, region.height);
  if (x_axis.in == x_axis.out) {
    ResizeColumns(image, ComputeTaps(y_axis, filter), 0, region.left, out);
    return out;
  }
  FilterTaps x_taps = ComputeTaps(x_axis, filter);
  if (y_axis.in == y_axis.out) {
    for (int64_t y = 0; y < region.height; ++y)
      ResizeRow(image.row(region.top + y), x_taps, out.row(y));
    return out;
  }
  const FilterTaps y_taps = ComputeTaps(y_axis, filter);
  const bool columns_first =
      height < image.height && image.height - height > 2 * (image.width - width);
  return columns_first ? ColumnsThenRows(image, std::move(x_taps), y_taps, std::move(out))
                       : RowsThenColumns(image, x_taps, y_taps, std::move(out));
}

}  // namespace binocle
