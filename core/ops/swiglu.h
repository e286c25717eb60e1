// The gated half of a feed-forward layer.
//
//   y = SiLU(g) ⊙ u,   [g | u] = x·Wᵀ + b      x [T, K], W [2F, K], y [T, F], f32 or bf16 (RowsBetween); SiLU(g) = g·σ(g)
//
// With compact weights the panels of g and u that belong together are finished at once, so that [g | u] is never in memory; y is the same to the last
// bit as that of Linear and SiluMul. Otherwise it goes through `gate_up` [T, 2F].
#pragma once

#include "core/ops/linear.h"

namespace binocle {

// Whether [g | u] is never in memory: `gate_up` is not touched.
bool SwiGluInPanels(WeightKind kind, int64_t n);

void SwiGlu(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& gate_up,
            const TensorView& y);

}  // namespace binocle
