// What our kernels are written in. Under nvcc it is CUDA; under g++ the same names are the SIMT emulator's (tests/simt), so that one source is
// compiled to run on a GPU and to be proved without one.
//
// A kernel may use: threadIdx, blockIdx, blockDim, gridDim; BINOCLE_SHARED, BINOCLE_DYNAMIC_SHARED and BINOCLE_LAUNCH; __syncthreads,
// __syncwarp, shuffles and votes of the whole warp, atomicAdd; float4 and uint4 loads; and the wrappers below, where all PTX is. Not: a return before a
// barrier that others reach, barriers of a part of the block, blocks that wait for each other.
#pragma once

#include <cstdint>

#include "core/backend/cuda/stream.h"
#include "core/convert.h"

#ifdef __CUDACC__
#include "core/backend/cuda/device_native.h"
#else
#include <simt/device.h>
#endif

namespace binocle::cuda {

inline constexpr unsigned kWholeWarp = 0xFFFFFFFFU;
inline constexpr int kWarp = 32;

template <typename T>
BINOCLE_DEVICE T Smaller(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
BINOCLE_DEVICE T Larger(T a, T b) {
  return a < b ? b : a;
}

BINOCLE_DEVICE float FromBf16(uint16_t bits) {
  return BitsToFloat(static_cast<uint32_t>(bits) << 16);
}
BINOCLE_DEVICE float Load(const float* p) { return *p; }
BINOCLE_DEVICE float Load(const Bf16* p) { return FromBf16(p->bits); }
BINOCLE_DEVICE void Store(float* p, float value) { *p = value; }
BINOCLE_DEVICE void Store(Bf16* p, float value) {
  p->bits = static_cast<uint16_t>(PackBf16(value, 0.0F) & 0xFFFFU);
}

// Over the whole warp; every lane gets the result. The order is that of a butterfly, the same in every lane.
BINOCLE_DEVICE float WarpSum(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(kWholeWarp, value, offset);
  return value;
}
BINOCLE_DEVICE float WarpMax(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    value = fmaxf(value, __shfl_xor_sync(kWholeWarp, value, offset));
  return value;
}

}  // namespace binocle::cuda
