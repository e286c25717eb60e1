// Scalar definitions, sums in double.
#pragma once

#include "core/ops/norm.h"

namespace binocle {
void LayerNormRef(const TensorView& x, const LayerNormWeights& w, const TensorView& out);
void RmsNormRef(const TensorView& x, const RmsNormWeights& w, const TensorView& out);
}  // namespace binocle
