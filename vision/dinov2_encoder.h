// The DINOv2 vision tower (Dinov2Model and Dinov2WithRegistersModel).
//
//   x₀ = [class + pos₀ ; registers ; patches·Wᵀ + b + pos]     positions resampled to the pixels' grid
//   h  = x + λ₁ ⊙ (Wo·Attn(LN₁ x) + bo)                        bidirectional, q, k, v with bias
//   y  = h + λ₂ ⊙ MLP(LN₂ h)                                   GELU MLP, or SwiGLU in the giant
//
// Reference: transformers modeling_dinov2, modeling_dinov2_with_registers.
#pragma once

#include <memory>
#include <optional>

#include "core/weights.h"
#include "vision/tower.h"

namespace binocle {

struct Dinov2Config {
  int64_t width = 0;      // hidden_size
  int64_t layers = 0;     // num_hidden_layers
  int64_t heads = 0;      // num_attention_heads
  int64_t ff_width = 0;   // rows of the first FFN product: mlp_ratio·width, or 2·h for SwiGLU
  int64_t registers = 0;  // num_register_tokens
  int64_t patch_size = 0;
  int64_t trained_size = 0;  // image_size: the grid of the stored positions
  int64_t height = 0;        // of the pixels that come in
  int64_t image_width = 0;
  bool swiglu = false;  // use_swiglu_ffn
  float epsilon = 1e-6F;
  FeatureSelection feature;
  DType kv_dtype = DType::kF32;  // of keys and values
  int64_t images = 1;            // of a pass, at most

  PatchGrid grid() const { return {height / patch_size, image_width / patch_size}; }
  PatchGrid trained_grid() const { return {trained_size / patch_size, trained_size / patch_size}; }
  TowerShape tower_shape() const {
    return {.images = images,
            .tokens = 1 + registers + grid().patches(),
            .width = width,
            .heads = heads,
            .ff_width = ff_width,
            .gated_width = swiglu ? ff_width / 2 : 0,
            .patch_width = 3 * patch_size * patch_size,
            .patches = grid().patches(),
            .kv_dtype = kv_dtype};
  }
};

struct Dinov2BlockWeights {
  LayerNormWeights norm1;
  LinearWeights qkv;  // [3·Dv, Dv]
  LinearWeights out;  // [Dv, Dv]
  Tensor scale1;      // λ₁ [Dv]
  LayerNormWeights norm2;
  LinearWeights in;    // [F, Dv], or [2·h, Dv]
  LinearWeights down;  // [Dv, F], or [Dv, h]
  Tensor scale2;       // λ₂ [Dv]
};

struct Dinov2Weights {
  LinearWeights patch;    // [Dv, 3·p·p]
  Tensor special_tokens;  // [1 + R, Dv]: the class token with its position, then the registers
  Tensor positions;       // [P, Dv], resampled
  std::vector<Dinov2BlockWeights> blocks;
  std::optional<LayerNormWeights>
      norm;  // where the feature selection asks for it, or all layers run and the file has it
};

Dinov2Weights BindDinov2(const Dinov2Config& config, WeightBinder binder);

std::unique_ptr<VisionEncoder> MakeDinov2Encoder(const Dinov2Config& config, Dinov2Weights weights);

}  // namespace binocle
