#include "core/ops/rope_ref.h"

#include <cmath>

namespace binocle {

void RopeRef(int64_t head_dim, double theta, std::span<const int32_t> positions,
             const TensorView& x) {
  const int64_t half = head_dim / 2;
  for (int64_t t = 0; t < x.dim(0); ++t) {
    for (int64_t c = 0; c < x.dim(1); ++c) {
      const int64_t i = c % head_dim;
      if (i >= half) continue;
      const double angle =
          positions[static_cast<size_t>(t)] *
          std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
      const double low = x.row(t)[c];
      const double high = x.row(t)[c + half];
      x.row(t)[c] = static_cast<float>(low * std::cos(angle) - high * std::sin(angle));
      x.row(t)[c + half] = static_cast<float>(high * std::cos(angle) + low * std::sin(angle));
    }
  }
}

}  // namespace binocle
