// Rotary position embedding, the "rotate half" form of LLaMA.
//
//   angle(p, i) = p · f_i         f_i = θ^(−2i/d)                i < d/2
//   (x_i, x_{i+d/2}) ← (x_i·cos − x_{i+d/2}·sin, x_{i+d/2}·cos + x_i·sin)
//
//   x [T, heads·d] f32 in place, rows may be strided    positions [T]
// Angles are products of f32 numbers, as in the reference. Reference: rope_ref.cc; transformers apply_rotary_pos_emb.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

// How a model stretches its frequencies f_i to reach more positions. Reference: transformers modeling_rope_utils.
struct LinearRopeScaling {
  double factor = 1;  // f_i / factor: as if positions were closer
};
// Llama 3: slow frequencies are divided by `factor`, fast ones stay, those between are blended.
struct Llama3RopeScaling {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_positions = 8192;
};
// Each frequency by itself: f_i / factors_i. GGUF files have Llama 3's so.
struct FactorRopeScaling {
  std::vector<float> factors;  // [d/2]
};
using RopeScaling =
    std::variant<std::monostate, LinearRopeScaling, Llama3RopeScaling, FactorRopeScaling>;

struct RopeConfig {
  double theta = 10000;
  RopeScaling scaling;
};

// f_i of a head, i < d/2.
std::vector<float> RopeFrequencies(int64_t head_dim, const RopeConfig& config);

// cos and sin for positions [0, max_positions), computed once at load.
struct RopeTable {
  Tensor cos;  // [max_positions, d/2]
  Tensor sin;  // [max_positions, d/2]
  int64_t head_dim = 0;

  static RopeTable Make(int64_t head_dim, const RopeConfig& config, int64_t max_positions);
  // The same numbers as [d/2, max_positions]; of the host's.
  RopeTable ByFrequency() const;
  // Where `ex` has its tensors: Rope wants it where x is.
  RopeTable On(Exec& ex) &&;
};

void Rope(Exec& ex, const RopeTable& table, std::span<const int32_t> positions,
          const TensorView& x);

}  // namespace binocle
