// Ops over the processes that compute a model together (core/parallel/communicator.h, Exec::communicator). Where there is one they are what is left of them.
#pragma once

#include "core/ops/linear.h"

namespace binocle {

//   y += Σ_r x_r·W_rᵀ (+ b)      y [T, N] and the sum are the same on all ranks; x_r [T, K_r] and W_r [N, K_r] are each rank's own
// The parts are added in the order of ranks, then to y: another order than LinearAdd's, whose products are one chain. `partial` [T, N] f32, dense, aliases none of the
// others and is of undefined value afterwards. Alone it is LinearAdd, bit for bit.
void LinearAddOverRanks(Exec& ex, const TensorView& x, const LinearWeights& w,
                        const TensorView& partial, const TensorView& y);

// rows [T, D] f32, dense, become those of rank 0.
void TakeFromRankZero(Exec& ex, const TensorView& rows);

}  // namespace binocle
