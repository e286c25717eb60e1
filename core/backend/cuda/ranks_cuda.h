// What GPUs of several processes do together: commands like all others, in order on the stream. NCCL's, once CudaBackend::JoinRanks has connected them; passes are then no graphs.
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"

namespace binocle::cuda {

struct RanksWork {
  float* values;
  int64_t count;
};

// values ← Σ over ranks. The same bits on all of them: NCCL reduces an element in one place, or along one order, and hands it out.
inline constexpr CudaCommand<RanksWork> kSumOverRanks{"sum over ranks"};
// values ← those of rank 0.
inline constexpr CudaCommand<RanksWork> kTakeFromRankZero{"take from rank zero"};

}  // namespace binocle::cuda
