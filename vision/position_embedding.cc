#include "vision/position_embedding.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace binocle {
namespace {

// Keys' convolution kernel with parameter a.
double Cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

struct Taps {
  std::vector<int64_t> index;
  std::vector<double> weight;
};

Taps PlainTaps(int64_t i, double scale, int64_t in) {
  const double center = (static_cast<double>(i) + 0.5) * scale - 0.5;
  const double floor = std::floor(center);
  Taps taps;
  for (int64_t k = -1; k <= 2; ++k) {
    taps.index.push_back(std::clamp<int64_t>(static_cast<int64_t>(floor) + k, 0, in - 1));
    taps.weight.push_back(Cubic(center - floor - static_cast<double>(k), -0.75));
  }
  return taps;
}

Taps AntialiasedTaps(int64_t i, double scale, int64_t in) {
  const double stretch = std::max(scale, 1.0);
  const double support = 2.0 * stretch;
  const double center = (static_cast<double>(i) + 0.5) * scale;
  const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
  const auto last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in);
  Taps taps;
  double total = 0;
  for (int64_t k = first; k < last; ++k) {
    taps.index.push_back(k);
    taps.weight.push_back(Cubic((static_cast<double>(k) - center + 0.5) / stretch, -0.5));
    total += taps.weight.back();
  }
  for (double& weight : taps.weight) weight /= total;
  return taps;
}

std::vector<Taps> AxisTaps(int64_t in, int64_t out, Antialias antialias) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  std::vector<Taps> taps;
  for (int64_t i = 0; i < out; ++i)
    taps.push_back(antialias == Antialias::kOn ? AntialiasedTaps(i, scale, in)
                                               : PlainTaps(i, scale, in));
  return taps;
}

}  // namespace

Tensor ResampleBicubic(const TensorView& grid, PatchGrid in, PatchGrid out, Antialias antialias) {
  const int64_t width = grid.dim(1);
  BINOCLE_CHECK(grid.dim(0) == in.patches(), grid.shape().ToString());
  const auto rows = AxisTaps(in.height, out.height, antialias);
  const auto columns = AxisTaps(in.width, out.width, antialias);
  Tensor result = Tensor::F32({out.patches(), width}, "position_embeddings");
  std::vector<double> sum(static_cast<size_t>(width));
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      std::fill(sum.begin(), sum.end(), 0.0);
      const Taps& ty = rows[static_cast<size_t>(y)];
      const Taps& tx = columns[static_cast<size_t>(x)];
      for (size_t j = 0; j < ty.index.size(); ++j) {
        for (size_t i = 0; i < tx.index.size(); ++i) {
          const float* from = grid.row(ty.index[j] * in.width + tx.index[i]);
          const double weight = ty.weight[j] * tx.weight[i];
          for (int64_t c = 0; c < width; ++c) sum[static_cast<size_t>(c)] += weight * from[c];
        }
      }
      float* to = result.row(y * out.width + x);
      for (int64_t c = 0; c < width; ++c) to[c] = static_cast<float>(sum[static_cast<size_t>(c)]);
    }
  }
  return result;
}

}  // namespace binocle
