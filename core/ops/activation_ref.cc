#include "core/ops/activation_ref.h"

#include <cmath>

namespace binocle {
namespace {

double Activated(Activation activation, double v) {
  switch (activation) {
    case Activation::kGelu: return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case Activation::kQuickGelu: return v / (1 + std::exp(-1.702 * v));
  }
  return v;
}

}  // namespace

void ActivateRef(Activation activation, const TensorView& x) {
  for (int64_t t = 0; t < x.dim(0); ++t) {
    for (int64_t i = 0; i < x.dim(1); ++i) {
      x.row(t)[i] = static_cast<float>(Activated(activation, x.row(t)[i]));
    }
  }
}

void SiluMulRef(const TensorView& gate_up, const TensorView& out) {
  const int64_t width = out.dim(1);
  for (int64_t t = 0; t < out.dim(0); ++t) {
    for (int64_t i = 0; i < width; ++i) {
      const double g = gate_up.row(t)[i];
      out.row(t)[i] = static_cast<float>(g / (1 + std::exp(-g)) * gate_up.row(t)[width + i]);
    }
  }
}

}  // namespace binocle
