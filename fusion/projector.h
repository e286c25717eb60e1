// The two-layer GELU projector of LLaVA: visual = W₂·GELU(W₁ x + b₁) + b₂.
#pragma once

#include "core/ops/activation.h"
#include "core/weights.h"

namespace binocle {

struct ProjectorConfig {
  int64_t hidden = 0;  // rows of W₁
  int64_t out = 0;     // D, the language model's width
  Bias bias = Bias::kPresent;
};

struct ProjectorWeights {
  LinearWeights linear_1;  // [h, d]
  LinearWeights linear_2;  // [D, h]
};

ProjectorWeights BindProjector(const ProjectorConfig& config, int64_t in, WeightBinder binder);

// x [n, d] -> visual [n, D]; hidden [n, h] is scratch.
void Project(Exec& ex, const ProjectorWeights& w, const TensorView& x, const TensorView& hidden,
             const TensorView& visual);

}  // namespace binocle
