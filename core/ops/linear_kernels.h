// Inside Linear: how the work is split, and the two ways to compute one block of it.
#pragma once

#include "core/ops/linear.h"

namespace binocle {

enum class Accumulate : uint8_t { kOverwrite, kAdd };

// oneDNN's blocks hold whole groups of 16 k.
constexpr int64_t PaddedDepth(int64_t k) { return (k + 15) / 16 * 16; }

void LinearCpu(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
               Accumulate accumulate);

// c[m, n] (+)= Σ_k a[m, k]·b[k, n] over one depth block of some panels.
struct LinearBlock {
  const float* a;  // [rows, depth], leading dimension lda
  int64_t lda;
  const float* b;  // `columns` / 64 panels of [PaddedDepth(depth)][64]
  float* c;        // [rows, columns], leading dimension ldc
  int64_t ldc;
  int64_t rows;
  int64_t depth;    // ≤ kDepthBlock
  int64_t columns;  // ≥ 1; the last panel may be partly used
  Accumulate accumulate;
};

// Our own SIMD kernel: any shape.
void LinearBlockSimd(const LinearBlock& block);

}  // namespace binocle
