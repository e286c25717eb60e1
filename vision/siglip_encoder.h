// The SigLIP vision tower (SiglipVisionModel): no class token, and a head that pools all patches by attention.
//
//   x₀ = patches·Wᵀ + b + positions
//   then layers of clip_block.h
//   pooled: p = Wo·Attn(probe, LN x, LN x) + bo;   p + W₂·act(W₁·LN p + b₁) + b₂
//
// Feature layers count as in CLIP; hidden states are not normed. Reference: transformers modeling_siglip.
#pragma once

#include <memory>
#include <optional>

#include "vision/clip_block.h"

namespace binocle {

struct SiglipConfig {
  int64_t width = 0;     // hidden_size
  int64_t ff_width = 0;  // intermediate_size
  int64_t layers = 0;    // num_hidden_layers
  int64_t heads = 0;     // num_attention_heads
  int64_t image_size = 0;
  int64_t patch_size = 0;
  Activation activation = Activation::kGeluTanh;
  float epsilon = 1e-6F;
  bool pooling_head = true;      // vision_use_head
  FeatureSelection feature;      // keep_class_token is false
  DType kv_dtype = DType::kF32;  // of keys and values
  int64_t images = 1;            // of a pass, at most

  // Rows and columns of pixels beyond the last whole patch are not looked at.
  PatchGrid grid() const { return {image_size / patch_size, image_size / patch_size}; }
  TowerShape tower_shape() const {
    return {.images = images,
            .tokens = grid().patches(),
            .width = width,
            .heads = heads,
            .ff_width = ff_width,
            .patch_width = 3 * patch_size * patch_size,
            .patches = grid().patches(),
            .kv_dtype = kv_dtype};
  }
};

struct SiglipHeadWeights {
  Tensor probe;       // [1, Dv]
  LinearWeights qkv;  // [3·Dv, Dv]
  LinearWeights out;  // [Dv, Dv]
  LayerNormWeights norm;
  LinearWeights fc1;  // [F, Dv]
  LinearWeights fc2;  // [Dv, F]
};

struct SiglipWeights {
  LinearWeights patch;  // [Dv, 3·p·p]
  Tensor positions;     // [P, Dv]
  std::vector<ClipBlockWeights> blocks;
  // Where the feature selection asks for it, or all layers run and the file has it.
  std::optional<LayerNormWeights> post_norm;
  std::optional<SiglipHeadWeights> head;  // where there is post_norm and the file has it
};

SiglipWeights BindSiglip(const SiglipConfig& config, WeightBinder binder);

std::unique_ptr<VisionEncoder> MakeSiglipEncoder(const SiglipConfig& config, SiglipWeights weights);

}  // namespace binocle
