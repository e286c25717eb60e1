// device.h under nvcc: CUDA's own names, and one wrapper for each instruction that C++ has no name for. All assembly is here; lane layouts are those of
// the PTX manual and stand at each wrapper, as the emulator (tests/simt/simt/device.h) has to follow them.
#pragma once

#include <cuda_runtime.h>

#include "core/backend/cuda/check.h"

#define BINOCLE_DEVICE __device__ __forceinline__
#define BINOCLE_UNROLL _Pragma("unroll")
// Of a struct that is a kernel's argument: read where the launch put it, never copied.
#define BINOCLE_GRID_CONSTANT __grid_constant__
// BINOCLE_SHARED(float, sums, [4][32]): shared memory of a fixed size.
#define BINOCLE_SHARED(type, name, extents) __shared__ __align__(16) type name extents
// Shared memory of the size that the launch gives, as bytes.
#define BINOCLE_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
// BINOCLE_LAUNCH(kernel, grid, block, shared bytes, stream)(arguments of the kernel). Throws INTERNAL when the launch is refused.
#define BINOCLE_LAUNCH(kernel, grid, block, shared, stream)                           \
  [&](const auto&... arguments) {                                                     \
    ::binocle::cuda::AllowShared(reinterpret_cast<const void*>(kernel), shared);      \
    kernel<<<grid, block, shared, static_cast<cudaStream_t>(stream)>>>(arguments...); \
    ::binocle::cuda::CheckLaunch(#kernel);                                            \
  }

namespace binocle::cuda {

BINOCLE_DEVICE float BitsToFloat(uint32_t bits) { return __uint_as_float(bits); }
BINOCLE_DEVICE uint32_t FloatToBits(float value) { return __float_as_uint(value); }

// Two numbers as bfloat16, to nearest even; `low` in the lower half.
BINOCLE_DEVICE uint32_t PackBf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

// 2^x; relative error 2⁻²²; −∞ gives 0.
BINOCLE_DEVICE float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Begins to copy 16 bytes into shared memory; where !valid zeros are written and nothing is read. Both addresses are multiples of 16.
BINOCLE_DEVICE void CopyAsync16(void* shared, const void* global, bool valid) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes)
               : "memory");
}
// What this thread began to copy since the last call is a group.
BINOCLE_DEVICE void CopyCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until of this thread's groups at most the last N are under way. Others see the bytes after the next barrier.
template <int N>
BINOCLE_DEVICE void CopyWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Four 8×8 matrices of 16 bits from shared memory. Lane 8m + r gives the address of row r (16 bytes) of matrix m. Of matrix m lane l gets in to[m]
// row l / 4, columns 2·(l % 4) and the next.
BINOCLE_DEVICE void LoadMatrix4(uint32_t (&to)[4], const void* row) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}
// The same matrices transposed: lane l gets in to[m] rows 2·(l % 4) and the next of column l / 4.
BINOCLE_DEVICE void LoadMatrix4Transposed(uint32_t (&to)[4], const void* row) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

// c [16, 8] f32 += a [16, 16] bf16 · b [16, 8] bf16. With g = lane / 4 and t = lane % 4 a lane holds
//   a[0] (g, 2t …)  a[1] (g+8, 2t …)  a[2] (g, 2t+8 …)  a[3] (g+8, 2t+8 …)      each two columns
//   b[0] (2t …, g)  b[1] (2t+8 …, g)                                            each two rows
//   c[0], c[1] (g, 2t …)  c[2], c[3] (g+8, 2t …)
BINOCLE_DEVICE void MmaBf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace binocle::cuda
