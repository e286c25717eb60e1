// Running sums over a warp, of whole numbers.
#pragma once

#include "core/backend/cuda/device.h"

namespace binocle::cuda {

// Σ over this lane and those before it.
template <typename T>
BINOCLE_DEVICE T WarpScan(T value) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const T before = __shfl_sync(kWholeWarp, value, Larger(lane - offset, 0));
    if (lane >= offset) value += before;
  }
  return value;
}

}  // namespace binocle::cuda
