// Wo for values that the query heads of a group share. What the aligner of composite layers adds to a visual row is
//
//   Wo·[v₁ … v₁ v₂ … v₂ …] = Σ_g (Σ_{h in group g} Wo_h)·v_g
//
// with each kv head's value once per query head that reads it. The sums of columns in brackets belong to the weights, so they are formed
// once: where eight heads share a value, the product and its operand are an eighth.
#pragma once

#include <memory>

#include "core/exec.h"
#include "core/ops/linear.h"

namespace binocle {

// out [D, H·d] with its bias -> [D, K·d] with the same: the columns of each group's H/K heads are added up. Packed like `out`; of four bits and of blocks as
// int8, since sums of weights have more values than the weights.
LinearWeights SumOverGroups(Exec& ex, const LinearWeights& out, int64_t kv_heads, int64_t head_dim);

// Bytes of all layers' sums, out [D, H·d] of this kind with a bias; 0 where every query head has a value of its own.
int64_t GroupedOutBytes(int64_t layers, int64_t width, int64_t heads, int64_t kv_heads,
                        int64_t head_dim, WeightKind kind);

// Sums of the layers of one model, each made when it is first asked for. From any thread.
class GroupedOuts {
 public:
  GroupedOuts(int64_t layers, int64_t kv_heads, int64_t head_dim);
  ~GroupedOuts();
  GroupedOuts(GroupedOuts&&) noexcept;

  // `out` itself where every query head has a value of its own. The same `out` for a layer each time.
  const LinearWeights& Of(Exec& ex, int64_t layer, const LinearWeights& out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace binocle
