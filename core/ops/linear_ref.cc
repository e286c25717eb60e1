// The scalar definitions of Linear and LinearAdd. Linked by tests only.
#include "core/ops/linear_ref.h"

#include <algorithm>
#include <cmath>

namespace binocle {
namespace {

// Adds the depth blocks of row t and feature n to `sum`, which is nothing before the first block of an overwriting product.
float Element(const TensorView& x, const TensorView& weight, int64_t t, int64_t n,
              const float* start) {
  float sum = start != nullptr ? *start : 0;
  for (int64_t k0 = 0; k0 < x.dim(1); k0 += kDepthBlock) {
    float block = 0;
    for (int64_t k = k0; k < std::min(k0 + kDepthBlock, x.dim(1)); ++k)
      block = std::fma(x.row(t)[k], weight.row(n)[k], block);
    sum = k0 == 0 && start == nullptr ? block : sum + block;
  }
  return sum;
}

}  // namespace

void LinearRef(const TensorView& x, const TensorView& weight, const TensorView& bias,
               const TensorView& y) {
  for (int64_t t = 0; t < x.dim(0); ++t) {
    for (int64_t n = 0; n < weight.dim(0); ++n) {
      const float sum = Element(x, weight, t, n, nullptr);
      y.row(t)[n] = bias.empty() ? sum : sum + bias.f32()[n];
    }
  }
}

void LinearAddRef(const TensorView& x, const TensorView& weight, const TensorView& bias,
                  const TensorView& y) {
  for (int64_t t = 0; t < x.dim(0); ++t) {
    for (int64_t n = 0; n < weight.dim(0); ++n) {
      const float sum = Element(x, weight, t, n, y.row(t) + n);
      y.row(t)[n] = bias.empty() ? sum : sum + bias.f32()[n];
    }
  }
}

}  // namespace binocle
