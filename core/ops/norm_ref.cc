#include "core/ops/norm_ref.h"

#include <cmath>

namespace binocle {

void LayerNormRef(const TensorView& x, const LayerNormWeights& w, const TensorView& out) {
  const int64_t width = x.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    double mean = 0;
    double variance = 0;
    for (int64_t i = 0; i < width; ++i) mean += x.row(t)[i];
    mean /= static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) variance += (x.row(t)[i] - mean) * (x.row(t)[i] - mean);
    variance /= static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) {
      out.row(t)[i] = static_cast<float>((x.row(t)[i] - mean) / std::sqrt(variance + w.epsilon) *
                                             w.weight.f32()[i] +
                                         w.bias.f32()[i]);
    }
  }
}

void RmsNormRef(const TensorView& x, const RmsNormWeights& w, const TensorView& out) {
  const int64_t width = x.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += static_cast<double>(x.row(t)[i]) * x.row(t)[i];
    const double scale = 1.0 / std::sqrt(sum / static_cast<double>(width) + w.epsilon);
    for (int64_t i = 0; i < width; ++i)
      out.row(t)[i] = static_cast<float>(x.row(t)[i] * scale * w.weight.f32()[i]);
  }
}

}  // namespace binocle
