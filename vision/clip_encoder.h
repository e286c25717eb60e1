// The CLIP vision tower (CLIPVisionModel), as in LLaVA.
//
//   x₀ = LN_pre([class ; patches·Wᵀ] + positions)
//   then layers of clip_block.h             act: quick-GELU, or GELU for newer checkpoints
//
// Feature layer −2 (LLaVA) is the input of the last layer, which then does not run. Reference: transformers modeling_clip.
#pragma once

#include <memory>
#include <optional>

#include "vision/clip_block.h"

namespace binocle {

struct ClipConfig {
  int64_t width = 0;     // hidden_size
  int64_t ff_width = 0;  // intermediate_size
  int64_t layers = 0;    // num_hidden_layers
  int64_t heads = 0;     // num_attention_heads
  int64_t image_size = 0;
  int64_t patch_size = 0;
  Activation activation = Activation::kQuickGelu;
  float epsilon = 1e-5F;
  FeatureSelection feature;
  DType kv_dtype = DType::kF32;  // of keys and values
  int64_t images = 1;            // of a pass, at most

  int64_t patches_per_side() const { return image_size / patch_size; }
  PatchGrid grid() const { return {patches_per_side(), patches_per_side()}; }
  TowerShape tower_shape() const {
    const int64_t patches = grid().patches();
    return {.images = images,
            .tokens = 1 + patches,
            .width = width,
            .heads = heads,
            .ff_width = ff_width,
            .patch_width = 3 * patch_size * patch_size,
            .patches = patches,
            .kv_dtype = kv_dtype};
  }
};

struct ClipWeights {
  LinearWeights patch;  // [Dv, 3·p·p], no bias
  Tensor class_token;   // [1, Dv]
  Tensor positions;     // [1 + P, Dv]
  LayerNormWeights pre_norm;
  std::vector<ClipBlockWeights> blocks;
  std::optional<LayerNormWeights>
      post_norm;  // where the feature selection asks for it, or all layers run and the file has it
};

ClipWeights BindClip(const ClipConfig& config, WeightBinder binder);

std::unique_ptr<VisionEncoder> MakeClipEncoder(const ClipConfig& config, ClipWeights weights);

}  // namespace binocle
