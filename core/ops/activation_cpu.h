// One row each; called by activation.cc after its checks.
#pragma once

#include <cstdint>

#include "core/ops/activation.h"

namespace binocle {
// In place.
void (*ActivationRow(Activation activation))(float* x, int64_t width);
void GeluRowCpu(float* x, int64_t width);
void GeluTanhRowCpu(float* x, int64_t width);
void QuickGeluRowCpu(float* x, int64_t width);
void SiluMulRowCpu(const float* gate, const float* up, float* out, int64_t width);
}  // namespace binocle
