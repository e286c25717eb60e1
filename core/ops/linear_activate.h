// The first half of a feed-forward layer without a gate.
//
//   y = f(x·Wᵀ + b)      x [T, K], W [N, K], y [T, N], f32 or bf16 (RowsBetween)
//
// With compact weights a panel's columns are f'd while they are near; y is the same to the last bit as that of Linear and Activate.
#pragma once

#include "core/ops/activation.h"
#include "core/ops/linear.h"

namespace binocle {

void LinearActivate(Exec& ex, const TensorView& x, const LinearWeights& w, Activation f,
                    const TensorView& y);

}  // namespace binocle
