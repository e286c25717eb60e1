// Shape of a LLaMA-type decoder.
#pragma once

#include <cstdint>

#include "core/ops/rope.h"

namespace binocle {

struct LlamaConfig {
  int64_t width = 0;          // D, hidden_size
  int64_t ff_width = 0;       // F, intermediate_size
  int64_t layers = 0;         // L
  int64_t heads = 0;          // H
  int64_t kv_heads = 0;       // K
  int64_t head_dim = 0;       // d; H·d need not be D
  int64_t vocabulary = 0;     // V, rows of the embedding table
  int64_t max_positions = 0;  // max_position_embeddings
  RopeConfig rope;            // rope_theta, rope_scaling
  float epsilon = 1e-6F;
  bool tied_head = false;       // the head is the embedding table
  bool attention_bias = false;  // biases on q, k, v, o
  bool mlp_bias = false;
};

}  // namespace binocle
