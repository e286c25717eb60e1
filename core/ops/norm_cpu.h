// One row each; called by norm.cc after its checks.
#pragma once

#include <cstdint>

namespace binocle {
struct NormRow {
  const float* x;
  const float* weight;
  const float* bias;  // LayerNorm only
  float* out;
  int64_t width;
  float epsilon;
};
void LayerNormRowCpu(const NormRow& row);
void RmsNormRowCpu(const NormRow& row);
}  // namespace binocle
