// What a row looked at. Weights are recomputed as exp(s − LSE) for the rows that somebody asks about; the fast path never stores
// them.
#pragma once

#include <span>

#include "attention/attention.h"

namespace binocle {

struct MapRow {
  Exec& ex;
  const AttentionArgs& args;  // of the call that made `lse`
  const QueryRun& run;        // one of its runs, variant included
  int64_t row = 0;            // of the run
  TensorView lse;             // [T, H]
};

// weights [keys] ← the row's softmax weights in query head `head`, before any segment rule; 0 for keys it does not see.
void AttentionWeights(const MapRow& row, int64_t head, std::span<float> weights);

// weights [H, keys] ← the same of every head. On a GPU at once: by heads each waits for the device.
void AttentionWeightsOfHeads(const MapRow& row, const TensorView& weights);

// received [H, keys] ← Σ_i α_hij over all rows of the run: what each key received, in each head. Of runs whose rows see the same keys: Mask::kNone.
void ReceivedWeights(const MapRow& first_row, const TensorView& received);

// map [keys] ← map + Σ_h head_weight[h]·α'_hj, where α' has the run's segment rule applied: the weights that made the output.
// Heads of weight 0 cost nothing. head_weight [H]. `scratch` [keys] is overwritten.
void AddAttentionMap(const MapRow& row, std::span<const float> head_weight,
                     std::span<float> scratch, std::span<float> map);

}  // namespace binocle
