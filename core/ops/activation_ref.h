// Scalar definitions in double.
#pragma once

#include "core/ops/activation.h"

namespace binocle {
void ActivateRef(Activation activation, const TensorView& x);
void SiluMulRef(const TensorView& gate_up, const TensorView& out);
}  // namespace binocle
