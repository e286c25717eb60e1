// y = x·Wᵀ + b and y += x·Wᵀ + b on plain f32 tensors, in Linear's order of summation.
#pragma once

#include "core/ops/linear.h"

namespace binocle {
void LinearRef(const TensorView& x, const TensorView& weight, const TensorView& bias,
               const TensorView& y);
void LinearAddRef(const TensorView& x, const TensorView& weight, const TensorView& bias,
                  const TensorView& y);
}  // namespace binocle
