// Shape of a LLaMA-type decoder: LLaMA itself and those that differ from it in biases, norms, multipliers and what a layer looks at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ops/rope.h"
#include "core/tensor.h"
#include "core/weight_kind.h"

namespace binocle {

// Which of the processes that compute a model together this one is (llm/layer_share.h).
struct RankShare {
  int64_t rank = 0;
  int64_t ranks = 1;
  int64_t kv_copies = 1;  // ranks that share kv heads, where there are more ranks than those

  bool leads() const { return rank == 0; }
};

struct LlamaConfig {
  std::string model_type = "llama";  // as transformers calls it
  int64_t width = 0;                 // D, hidden_size
  int64_t ff_width = 0;              // F, intermediate_size
  int64_t layers = 0;                // L
  int64_t heads = 0;                 // H
  int64_t kv_heads = 0;              // K
  int64_t head_dim = 0;              // d; H·d need not be D
  int64_t vocabulary = 0;            // V, rows of the embedding table
  int64_t max_positions = 0;         // max_position_embeddings
  RopeConfig rope;                   // rope_theta, rope_scaling
  float epsilon = 1e-6F;
  bool tied_head = false;  // the head is the embedding table
  bool qkv_bias = false;
  bool out_bias = false;  // on o
  bool mlp_bias = false;
  bool interleaved_qk = false;  // rows of q and k are stored as RowOrder has them
  bool qk_norm = false;         // RMSNorm of each head of q and k, before rotation
  std::vector<int64_t>
      windows;  // [L] AttentionArgs::window of each layer; empty: 0, all of them see everything
  float embedding_multiplier = 1;  // of every row that enters the first layer, visual ones too
  std::optional<float> attention_multiplier;  // AttentionArgs::scale; absent: 1/√d
  float residual_multiplier = 1;              // of what attention and FFN add to a row
  float logits_scaling = 1;                   // logits are divided by it
  DType kv_dtype = DType::kF32;               // of keys and values in pages
  WeightKind layer_kind = WeightKind::kF32;   // of the layers' matrices
  RankShare share;  // heads, kv_heads and ff_width are those of this process
};

}  // namespace binocle
