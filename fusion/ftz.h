// FtZ: the anchor's patches ask, the augmenting tower's patches answer.
//
//   C = MHCA(A, B) = concat_h(softmax(Q_h K_hᵀ/√(d_f/h)) V_h) W_Oᵀ + b_O       Q = A W_Qᵀ + b_Q, K = B W_Kᵀ + b_K, V = B W_Vᵀ + b_V
//   post: LayerNorm(A + C)    pre: A + MHCA(LayerNorm(A), B)    none: A + C      `A +` only with a residual
//
// No mask and no positional term: permuting B's rows changes nothing, permuting A's permutes the result.
#pragma once

#include <vector>

#include "attention/attention.h"
#include "fusion/fusion.h"

namespace binocle {

struct FtzWeights {
  LinearWeights q;    // [d_f, d_a]
  LinearWeights kv;   // [2·d_f, d_b]
  LinearWeights out;  // [d_a, d_f]
  LayerNormWeights norm;
};

FtzWeights BindFtz(const FusionConfig& config, int64_t anchor_width, int64_t augment_width,
                   WeightBinder binder);

class Ftz {
 public:
  Ftz(const FusionConfig& config, FtzWeights weights, int64_t anchor_tokens,
      int64_t augment_tokens);

  static int64_t Bytes(const FusionConfig& config, int64_t anchor_width, int64_t anchor_tokens,
                       int64_t augment_tokens);

  // A [n_a, d_a], B [n_b, d_b] -> fused [n_a, d_a].
  void Forward(Exec& ex, const TensorView& anchor, const TensorView& augment,
               const TensorView& fused);

 private:
  // c = MHCA(a, B) [n_a, d_a], overwriting `out` or added to it.
  void CrossAttention(Exec& ex, const TensorView& a, const TensorView& b);

  FusionConfig config_;
  FtzWeights weights_;
  Tensor n_;     // [n_a, d_a]
  Tensor q_;     // [n_a, d_f]
  Tensor kv_;    // [n_b, 2·d_f]
  Tensor attn_;  // [n_a, d_f]
  Tensor lse_;   // [n_a, h]
  KvPool pages_;
  std::vector<int32_t> slots_, page_list_;
};

}  // namespace binocle
