// Products of rows and matrices on a GPU, by cuBLASLt. Host code; no header of CUDA's.
//
//   y[t, n] (+)= Σ_k x[t, k]·w[n, k] + bias[n]      x [T, K], w [N, K], both f32 or both bf16; y [T, N] f32; sums f32, without TF32
// and, of bytes, the sums alone
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"
#include "core/ops/compact_cuda.h"

namespace binocle::cuda {

struct GemmWork {
  const void* x;
  const void* w;
  const float* bias;  // [N] or null
  float* y;
  int64_t x_stride;  // elements from row to row
  int64_t y_stride;
  int64_t w_stride;
  int32_t rows;      // T
  int32_t features;  // N
  int32_t depth;     // K
  bool bf16;
  bool add;
};
inline constexpr CudaCommand<GemmWork> kGemm{"gemm"};

// sums [T, sums_stride] ← Σ_k x[t, k]·w[n, k] in whole numbers, on tensor cores (SumBytesWork, core/ops/compact_cuda.h). N a multiple of 4.
inline constexpr CudaCommand<SumBytesWork> kGemmBytes{"gemm bytes"};

// As much as Hopper's kernels ask for.
inline constexpr int64_t kProductWorkspaceBytes = int64_t{32} << 20;

// cuBLASLt's handle, its workspace, and the algorithm that its heuristics gave for each shape. Null: it cannot be had.
Products* NewProducts();
void DeleteProducts(Products* products);

}  // namespace binocle::cuda
