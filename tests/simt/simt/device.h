// core/backend/cuda/device.h under g++: CUDA's names over the emulator. Macros, since CUDA's threadIdx is no function: include it where kernels are.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "simt/runtime.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define BINOCLE_DEVICE inline
#define BINOCLE_UNROLL
#define BINOCLE_GRID_CONSTANT

#define threadIdx (::simt::current_ids->thread)
#define blockIdx (::simt::current_ids->block)
#define blockDim (::simt::current_ids->block_dim)
#define gridDim (::simt::current_ids->grid_dim)

// A plain tag names the array: a guarded static would call the hooks' atomics.
#define BINOCLE_SHARED(type, name, extents)                                 \
  using SharedTypeOf_##name = type extents;                                 \
  static char shared_tag_of_##name;                                         \
  SharedTypeOf_##name& name =                                               \
      *static_cast<SharedTypeOf_##name*>(::simt::Memory::Instance().Shared( \
          &shared_tag_of_##name, sizeof(SharedTypeOf_##name), #name))
#define BINOCLE_DYNAMIC_SHARED(name) \
  unsigned char* name = static_cast<unsigned char*>(::simt::Memory::Instance().DynamicShared())

#ifdef __SANITIZE_THREAD__
inline constexpr bool kSimtChecked = true;
#else
inline constexpr bool kSimtChecked = false;
#endif
#define BINOCLE_LAUNCH(kernel, grid, block, shared, stream)                           \
  [&](const auto&... arguments) {                                                     \
    (void)(stream);                                                                   \
    ::simt::Launch(grid, block, shared, kSimtChecked, [&] { kernel(arguments...); }); \
  }

using dim3 = ::simt::Dim3;
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// Where a call stands: default arguments are evaluated at the caller.
#define SIMT_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(SIMT_HERE) { ::simt::MeetBlock({file, line}); }
inline void __syncwarp(SIMT_HERE) { ::simt::MeetWarp(::simt::WarpOp::kSync, 0, 0, {file, line}); }

namespace simt {
template <typename T>
T ShuffleAs(unsigned mask, WarpOp op, T value, unsigned argument, Place place) {
  CheckMask(mask, place);
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = MeetWarp(op, bits, argument, place);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
}  // namespace simt

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, SIMT_HERE) {
  return ::simt::ShuffleAs(mask, ::simt::WarpOp::kShuffle, value, static_cast<unsigned>(lane),
                           {file, line});
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, SIMT_HERE) {
  return ::simt::ShuffleAs(mask, ::simt::WarpOp::kShuffleXor, value, static_cast<unsigned>(lanes),
                           {file, line});
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, SIMT_HERE) {
  return ::simt::ShuffleAs(mask, ::simt::WarpOp::kShuffleDown, value, lanes, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_HERE) {
  ::simt::CheckMask(mask, {file, line});
  return static_cast<unsigned>(
      ::simt::MeetWarp(::simt::WarpOp::kBallot, predicate != 0 ? 1U : 0U, 0, {file, line}));
}
inline int __any_sync(unsigned mask, int predicate, SIMT_HERE) {
  return __ballot_sync(mask, predicate, file, line) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMT_HERE) {
  return __ballot_sync(mask, predicate == 0 ? 1 : 0, file, line) == 0 ? 1 : 0;
}
inline int __popc(unsigned x) { return std::popcount(x); }
// The lowest bit that is set, counted from 1; 0: none.
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }

// Fibers are switched only where threads meet, so that a plain sum is atomic.
template <typename T>
T atomicAdd(T* p, T value) {
  ::simt::OnWrite(p, sizeof(T), true);
  ::simt::SuspendChecks(true);
  const T before = *p;
  *p = before + value;
  ::simt::SuspendChecks(false);
  return before;
}

// Four products of signed bytes, added to c.
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i)
    c += static_cast<int8_t>(a >> (8 * i)) * static_cast<int8_t>(b >> (8 * i));
  return c;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }

namespace binocle::cuda {

BINOCLE_DEVICE float BitsToFloat(uint32_t bits) { return std::bit_cast<float>(bits); }
BINOCLE_DEVICE uint32_t FloatToBits(float value) { return std::bit_cast<uint32_t>(value); }
BINOCLE_DEVICE uint32_t PackBf16(float low, float high) {
  return static_cast<uint32_t>(Bf16FromF32(low).bits) |
         static_cast<uint32_t>(Bf16FromF32(high).bits) << 16;
}
BINOCLE_DEVICE float Exp2(float x) { return std::exp2(x); }

BINOCLE_DEVICE void CopyAsync16(void* shared, const void* global, bool valid) {
  ::simt::BeginCopy16(shared, global, valid);
}
BINOCLE_DEVICE void CopyCommit() { ::simt::CommitCopies(); }
template <int N>
BINOCLE_DEVICE void CopyWait() {
  ::simt::WaitCopies(N);
}

inline void LoadMatrix4(uint32_t (&to)[4], const void* row, SIMT_HERE) {
  ::simt::MeetWarp({.op = ::simt::WarpOp::kLoadMatrix, .from = row, .to = to}, {file, line});
}
inline void LoadMatrix4Transposed(uint32_t (&to)[4], const void* row, SIMT_HERE) {
  ::simt::MeetWarp({.op = ::simt::WarpOp::kLoadMatrixTransposed, .from = row, .to = to},
                   {file, line});
}
inline void MmaBf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, SIMT_HERE) {
  ::simt::MeetWarp({.op = ::simt::WarpOp::kMma, .c = c, .a = a, .b = {b0, b1}}, {file, line});
}

}  // namespace binocle::cuda
