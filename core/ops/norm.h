// LayerNorm and RMSNorm over the last dimension of x [T, D].
//
//   LayerNorm(x) = (x − mean(x)) / √(var(x) + ε) · w + b      var is the biased variance
//   RmsNorm(x)   =  x / √(mean(x²) + ε) · w
//
//   x [T, D] f32, out f32 or rounded (RowsInto), rows may be strided; out of f32 may alias x.    w, b [D] f32.    Accumulates in f32 (mean) over D.
// Reference: norm_ref.cc; torch.nn.LayerNorm, transformers LlamaRMSNorm.
#pragma once

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

struct LayerNormWeights {
  Tensor weight;  // [D]
  Tensor bias;    // [D]
  float epsilon = 1e-5F;
};

struct RmsNormWeights {
  Tensor weight;  // [D]
  float epsilon = 1e-5F;
};

void LayerNorm(Exec& ex, const TensorView& x, const LayerNormWeights& w, const TensorView& out);
void RmsNorm(Exec& ex, const TensorView& x, const RmsNormWeights& w, const TensorView& out);
// RmsNorm of each head of x [T, H·d] by itself, in place. w [d].
void HeadRmsNorm(Exec& ex, const RmsNormWeights& w, const TensorView& x);

}  // namespace binocle
