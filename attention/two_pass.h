// Attention as the textbook has it: all scores of a row, then their softmax, then the weighted sum. What the core is compared with
// (binocle bench attention), built to be fast: keys and values lie packed for the best matrix product at hand, a block holds up to 128
// rows × heads that share a kv head, keys that no row of the block sees are skipped, and the softmax is vectorised. It gives no LSE.
#pragma once

#include <cstdint>
#include <vector>

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

class TwoPassAttention {
 public:
  // Packs keys and values, [n, K·d] f32.
  TwoPassAttention(Exec& ex, const TensorView& k, const TensorView& v, int64_t head_dim);

  // out [T, H·d] ← causal attention of q [T, H·d], whose rows are the last T positions.
  void Run(Exec& ex, const TensorView& q, float scale, const TensorView& out);

 private:
  static constexpr int64_t kBlockRows = 128;

  struct Block {
    int64_t kv_head;
    int64_t begin, end;         // rows
    int64_t first_head, heads;  // query heads of kv_head
  };
  struct Scratch {
    Tensor q;  // [R, d], scaled
    Tensor s;  // [R, n] scores, then weights
    Tensor o;  // [d / 64][R, 64]
  };
  void RunBlock(Exec& ex, const TensorView& q, float scale, const Block& block, Scratch& scratch,
                const TensorView& out) const;

  int64_t tokens_, kv_heads_, head_dim_;
  int64_t depth_;                 // tokens, rounded up to whole panels
  int64_t value_panels_;          // per head
  Tensor keys_;                   // [K][n / 64] panels of [d][64]
  Tensor values_;                 // [K][d / 64] panels of [n][64]
  std::vector<Scratch> scratch_;  // per thread
};

}  // namespace binocle
