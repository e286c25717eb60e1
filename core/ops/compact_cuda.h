// Products with weights of eight and four bits on a GPU: our own kernels for the few rows of decoding, tensor cores (core/ops/gemm_cuda.h) for many, with the
// same sums. Host code; no header of CUDA's.
//
//   y[t, n] (+)= Σ_k x[t, k]·w[n, k] + bias[n]
//   int8   w[n, k] = scale[n]·q[n, k]                        q in −127 … 127
//   int4   w[n, k] = scale[n]·m[n, k / 32]·(q[n, k] − 8)     q in 0 … 15, m in 0 … 15, as core/ops/int4_block.h
// Rows of x are rounded to bytes with a scale of their own, as core/ops/compact_rows.h has it, and sums are whole numbers, whatever their order; what comes
// after them is fma(sum, scale[n]·row scale, y) + bias[n]. So the result is, bit for bit, that of a CPU that has fma. Layouts are rows of weights, K padded with zeros to a multiple of 64:
//   int8   [N, K] bytes
//   int4   [N, K / 2] bytes: in every four of them the lower halves are k = 8i … 8i + 3, the upper ones 8i + 4 … 8i + 7
//          factors [N, K / 64] bytes: of an even group in the lower half, of the next in the upper
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"
#include "core/backend/cuda/stream.h"
#include "core/convert.h"

namespace binocle::cuda {

inline constexpr int kCompactGroup = 32;

constexpr int64_t PaddedByteDepth(int64_t depth) { return (depth + 63) / 64 * 64; }

// Rows of x as bytes, padded with zeros.
struct ByteRows {
  int8_t* bytes;        // [T, K]
  float* scales;        // [T]
  int32_t* group_sums;  // [T, K / 32]
};
// x [T, depth] f32 with its stride. A row that is not finite gets a scale that is not, as the CPU's.
struct RowsAsBytesWork {
  const float* x;
  int64_t stride;
  int32_t rows;
  int32_t depth;
  ByteRows to;
};
void RowsAsBytes(const RowsAsBytesWork& work, Stream stream);
inline constexpr CudaCommand<RowsAsBytesWork> kRowsAsBytes{"rows as bytes"};

struct DeviceBytes {
  const void* q;           // int8 or int4
  const uint8_t* factors;  // int4; null: int8
  const float* scale;      // [N]
  const float* bias;       // [N] or null
  int32_t features;        // N
  int32_t depth;           // K, padded
};
enum class Add : uint8_t { kNo, kYes };
// y [T, N] with its stride. Up to kMostCompactRows rows; more go through kGemmBytes and FinishBytes.
inline constexpr int32_t kMostCompactRows = 16;
struct MultiplyBytesWork {
  ByteRows x;
  int32_t rows;
  DeviceBytes w;
  Add add;
  float* y;
  int64_t y_stride;
};
void MultiplyBytes(const MultiplyBytesWork& work, Stream stream);
inline constexpr CudaCommand<MultiplyBytesWork> kMultiplyBytes{"multiply bytes"};

// Rows of weights of eight bits that a product of tensor cores asks for.
constexpr int64_t PaddedFeatures(int64_t features) { return (features + 3) / 4 * 4; }

// out [PaddedFeatures(N), K] ← m·(q − 8) of weights of four bits, which fit into a byte; zero in padded rows.
struct ExpandWork {
  DeviceBytes w;
  int8_t* out;
};
void Expand(const ExpandWork& work, Stream stream);
inline constexpr CudaCommand<ExpandWork> kExpand{"expand"};

// sums [T, sums_stride] ← Σ_k x[t, k]·w[n, k], plain: for where tensor cores do not serve.
struct SumBytesWork {
  const int8_t* x;  // [T, K]
  const int8_t* w;  // [N, K]
  int32_t* sums;
  int64_t sums_stride;
  int32_t rows;
  int32_t features;
  int32_t depth;  // K, a multiple of 64
};
void SumBytes(const SumBytesWork& work, Stream stream);

// y from whole sums, as MultiplyBytes has it.
struct FinishBytesWork {
  MultiplyBytesWork product;  // whose weights and bytes are not read
  const int32_t* sums;        // [T, sums_stride]
  int64_t sums_stride;
};
void FinishBytes(const FinishBytesWork& work, Stream stream);
inline constexpr CudaCommand<FinishBytesWork> kFinishBytes{"finish bytes"};

}  // namespace binocle::cuda
