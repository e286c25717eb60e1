// What all towers share: the buffers of a pre-norm transformer over the tokens of some pictures, and bidirectional attention on them.
// A picture's rows depend on that picture alone: bit for bit the same in any company.
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
  int64_t images = 1;  // of a pass, at most
  int64_t tokens = 0;  // S
  int64_t width = 0;   // Dv
  int64_t heads = 0;
  int64_t ff_width = 0;     // rows of the widest FFN product
  int64_t gated_width = 0;  // columns of the second, SwiGLU only
  int64_t patch_width = 0;  // 3·p·p
  int64_t patches = 0;      // P, the last rows of an image's
  DType kv_dtype = DType::kF32;

  int64_t head_dim() const { return width / heads; }
};

// Allocated once; a forward pass writes only here.
class TowerActivations {
 public:
  explicit TowerActivations(const TowerShape& shape, Place place = {});
  static int64_t Bytes(const TowerShape& shape);  // what the constructor takes

  // A pass over B images begins, 1 … shape.images: what the views show from here on.
  void Take(int64_t images);
  int64_t images() const { return std::ssize(runs); }  // B

  TowerShape shape;
  TensorView patch_rows;           // [B·P, 3·p·p]
  TensorView patch_embeddings;     // [B·P, Dv]
  TensorView x;                    // [B·S, Dv]
  TensorView n;                    // [B·S, Dv]
  TensorView qkv;                  // [B·S, 3·Dv]
  TensorView attn;                 // [B·S, Dv]
  TensorView lse;                  // [B·S, heads]
  TensorView ff;                   // [B·S, ff_width]
  TensorView ff_gated;             // [B·S, gated_width]
  KvPool kv;                       // one layer's keys and values, reused by every layer
  std::span<const int32_t> slots;  // [B·S]
  std::span<const QueryRun> runs;  // [B]

  TensorView q() const { return qkv.Columns(0, shape.width); }
  TensorView k() const { return qkv.Columns(shape.width, 2 * shape.width); }
  TensorView v() const { return qkv.Columns(2 * shape.width, 3 * shape.width); }
  // Rows of one image.
  TensorView tokens_of(int64_t image) const {  // of x
    return x.Rows(image * shape.tokens, (image + 1) * shape.tokens);
  }
  TensorView patches_of(int64_t image) const {  // of patch_embeddings
    return patch_embeddings.Rows(image * shape.patches, (image + 1) * shape.patches);
  }

 private:
  // The same for shape.images.
  Tensor all_patch_rows_, all_patch_embeddings_, all_x_, all_n_, all_qkv_, all_attn_, all_lse_,
      all_ff_, all_ff_gated_;
  std::vector<int32_t> all_slots_;
  std::vector<int32_t> pages_;  // image b uses pages [b·n, (b+1)·n)
  std::vector<QueryRun> all_runs_;
};

// a.attn = softmax(q kᵀ/√d) v over each image's tokens. `tap`, which may be null, receives what it asks for of the first image; where all
// tokens are patches class_weights is [1, P], the attention received.
void TowerAttention(Exec& ex, TowerActivations& a, AttentionTap::Layer* tap);

// The selected hidden state without its special tokens: rows of x [B·S, Dv] into features [B·tokens, Dv].
void SelectFeatures(Exec& ex, const TowerActivations& a, const FeatureSelection& selection,
                    const TensorView& features);

// hidden state index of `layer` for a tower with `layers` layers: how many layers run.
int64_t LayersToRun(const FeatureSelection& selection, int64_t layers);

}  // namespace binocle
