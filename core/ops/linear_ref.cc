// The scalar definition of Linear. Linked by tests only.
#include "core/ops/linear_ref.h"

#include <algorithm>
#include <cmath>

namespace binocle {

void LinearRef(const TensorView& x, const TensorView& weight, const TensorView& bias, const TensorView& y) {
  for (int64_t t = 0; t < x.dim(0); ++t) {
    for (int64_t n = 0; n < weight.dim(0); ++n) {
      float sum = 0;
      for (int64_t k0 = 0; k0 < x.dim(1); k0 += kDepthBlock) {
        float block = 0;
        for (int64_t k = k0; k < std::min(k0 + kDepthBlock, x.dim(1)); ++k) block = std::fma(x.row(t)[k], weight.row(n)[k], block);
        sum = k0 == 0 ? block : sum + block;
      }
      y.row(t)[n] = bias.empty() ? sum : sum + bias.f32()[n];
    }
  }
}

}  // namespace binocle
