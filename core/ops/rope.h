// Rotary position embedding, the "rotate half" form of LLaMA.
//
//   angle(p, i) = p · θ^(−2i/d)                                  i < d/2
//   (x_i, x_{i+d/2}) ← (x_i·cos − x_{i+d/2}·sin, x_{i+d/2}·cos + x_i·sin)
//
//   x [T, heads·d] f32 in place, rows may be strided    positions [T]
// Angles are products of f32 numbers, as in the reference. Reference: rope_ref.cc; transformers apply_rotary_pos_emb.
#pragma once

#include <cstdint>
#include <span>

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

// cos and sin for positions [0, max_positions), computed once at load.
struct RopeTable {
  Tensor cos;  // [max_positions, d/2]
  Tensor sin;  // [max_positions, d/2]
  int64_t head_dim = 0;

  static RopeTable Make(int64_t head_dim, double theta, int64_t max_positions);
};

void Rope(Exec& ex, const RopeTable& table, std::span<const int32_t> positions,
          const TensorView& x);

}  // namespace binocle
