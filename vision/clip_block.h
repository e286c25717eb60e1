// The layer that CLIP and SigLIP share: pre-norm, bidirectional attention with biases, a two-layer FFN.
//
//   h = x + Wo·Attn(LN₁ x) + bo
//   y = h + W₂·act(W₁·LN₂ h + b₁) + b₂
//
// Reference: transformers modeling_clip CLIPEncoderLayer, modeling_siglip SiglipEncoderLayer; tensors have the same names in both.
#pragma once

#include <string_view>
#include <vector>

#include "core/ops/activation.h"
#include "core/weights.h"
#include "vision/tower.h"

namespace binocle {

struct ClipBlockShape {
  int64_t width = 0;     // Dv
  int64_t ff_width = 0;  // F
  int64_t layers = 0;
  float epsilon = 0;
};

struct ClipBlockWeights {
  LayerNormWeights norm1;
  LinearWeights qkv;  // [3·Dv, Dv]
  LinearWeights out;  // [Dv, Dv]
  LayerNormWeights norm2;
  LinearWeights fc1;  // [F, Dv]
  LinearWeights fc2;  // [Dv, F]
};

// Layers 0 … run of encoder.layers; the others may be there. `why` says where the shapes come from.
std::vector<ClipBlockWeights> BindClipBlocks(const ClipBlockShape& shape, int64_t run,
                                             WeightBinder& binder, std::string_view why);

// a.x through one layer. `tap` may be null.
void ClipBlock(Exec& ex, const ClipBlockWeights& w, Activation act, TowerActivations& a,
               AttentionTap::Layer* tap);

}  // namespace binocle
