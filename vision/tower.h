// What all towers share: the buffers of a pre-norm transformer over one picture's tokens, and bidirectional attention on them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/attention.h"
#include "core/exec.h"
#include "core/tensor.h"
#include "vision/encoder.h"

namespace binocle {

struct TowerShape {
  int64_t images = 1;  // B
  int64_t tokens = 0;  // S
  int64_t width = 0;   // Dv
  int64_t heads = 0;
  int64_t ff_width = 0;     // rows of the widest FFN product
  int64_t patch_width = 0;  // 3·p·p
  int64_t patches = 0;      // P, the last rows of an image's
  DType kv_dtype = DType::kF32;

  int64_t head_dim() const { return width / heads; }
};

// Allocated once; a forward pass writes only here.
struct TowerActivations {
  explicit TowerActivations(const TowerShape& shape);
  static int64_t Bytes(const TowerShape& shape);  // what the constructor takes

  TowerShape shape;
  Tensor patch_rows;           // [B·P, 3·p·p]
  Tensor patch_embeddings;     // [B·P, Dv]
  Tensor x;                    // [B·S, Dv]
  Tensor n;                    // [B·S, Dv]
  Tensor qkv;                  // [B·S, 3·Dv]
  Tensor attn;                 // [B·S, Dv]
  Tensor lse;                  // [B·S, heads]
  Tensor ff;                   // [B·S, ff_width]
  Tensor ff_gated;             // [B·S, ff_width / 2], SwiGLU only
  KvPool kv;                   // one layer's keys and values, reused by every layer
  std::vector<int32_t> slots;  // [B·S]
  std::vector<int32_t> pages;  // image b uses pages [b·n, (b+1)·n)
  std::vector<QueryRun> runs;  // one per image

  TensorView q() const { return qkv.view().Columns(0, shape.width); }
  TensorView k() const { return qkv.view().Columns(shape.width, 2 * shape.width); }
  TensorView v() const { return qkv.view().Columns(2 * shape.width, 3 * shape.width); }
};

// a.attn = softmax(q kᵀ/√d) v over each image's tokens. `tap`, which may be null, receives what it asks for; where all tokens are patches
// class_weights is [1, P], the attention received.
void TowerAttention(Exec& ex, TowerActivations& a, AttentionTap::Layer* tap);

// The selected hidden state without its special tokens: rows of x [B·S, Dv] into features [B·tokens, Dv].
void SelectFeatures(const TowerActivations& a, const FeatureSelection& selection,
                    const TensorView& features);

// hidden state index of `layer` for a tower with `layers` layers: how many layers run.
int64_t LayersToRun(const FeatureSelection& selection, int64_t layers);

}  // namespace binocle
