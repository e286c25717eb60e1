// Scalar definition: angles and products in double.
#pragma once

#include "core/ops/rope.h"

namespace binocle {
void RopeRef(int64_t head_dim, double theta, std::span<const int32_t> positions,
             const TensorView& x);
}  // namespace binocle
