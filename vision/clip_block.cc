#include "vision/clip_block.h"

#include "core/ops/linear_activate.h"
#include "core/ops/product_rows.h"

// B images, S tokens an image, Dv width, F ffn width.

namespace binocle {

// h = x + Wo·Attn(n) + bo          n = LN₁(x)
// y = h + W₂·act(W₁ m + b₁) + b₂   m = LN₂(h)
void ClipBlock(Exec& ex, const ClipBlockWeights& w, Activation act, TowerActivations& a,
               AttentionTap::Layer* tap) {
  const TensorView n = RowsInto(w.qkv, a.n), m = RowsInto(w.fc1, a.n);
  const TensorView ff = RowsBetween(w.fc1, w.fc2, a.ff);
  LayerNorm(ex, a.x, w.norm1, n);         // n    [B·S, Dv]
  Linear(ex, n, w.qkv, a.qkv);            // qkv  [B·S, 3·Dv]
  TowerAttention(ex, a, tap);             // attn [B·S, Dv]
  LinearAdd(ex, a.attn, w.out, a.x);      // x   += attn·Woᵀ + bo
  LayerNorm(ex, a.x, w.norm2, m);         // m    [B·S, Dv]
  LinearActivate(ex, m, w.fc1, act, ff);  // ff   [B·S, F]
  LinearAdd(ex, ff, w.fc2, a.x);          // x   += ff·W₂ᵀ + b₂
}

std::vector<ClipBlockWeights> BindClipBlocks(const ClipBlockShape& c, int64_t run, WeightBinder& b,
                                             std::string_view why) {
  std::vector<ClipBlockWeights> blocks;
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string prefix = "encoder.layers." + std::to_string(l) + ".";
    if (l >= run) {
      b.IgnoreUnder(prefix);
      continue;
    }
    WeightBinder layer = b.Under(prefix);
    blocks.push_back(
        {.norm1 = layer.LayerNorm("layer_norm1", c.width, c.epsilon, why),
         .qkv = layer.Linear({{"self_attn.q_proj", c.width},
                              {"self_attn.k_proj", c.width},
                              {"self_attn.v_proj", c.width}},
                             c.width, Bias::kPresent, why),
         .out = layer.Linear({{"self_attn.out_proj", c.width}}, c.width, Bias::kPresent, why),
         .norm2 = layer.LayerNorm("layer_norm2", c.width, c.epsilon, why),
         .fc1 = layer.Linear({{"mlp.fc1", c.ff_width}}, c.width, Bias::kPresent, why),
         .fc2 = layer.Linear({{"mlp.fc2", c.width}}, c.ff_width, Bias::kPresent, why)});
  }
  return blocks;
}

}  // namespace binocle
