// Weights of four bits, and one panel of a product with them.
//
//   w[k, n] = (q[k, n] − 8)·m[g, n]     q in 0 … 15, m in 0 … 15, g = k / 32; times a scale per n
//
// Factors are whole numbers, so a weight is a byte of int8_block.h, −120 … 105: a panel that many rows pass is expanded and multiplied as one.
// Four bits per factor cost 1/8 bit a weight, as a scale of 16 bits per 128 weights would, for groups four times as fine.
//
// A panel is the factors of all its groups, [depth / 32][32] bytes (byte n: m of column n, and of column n + 32 in the upper half), and then their
// weights, [depth / 32][4][64][4] bytes: byte (j, n, i) holds q of k = 4·j + i, and of k = 16 + 4·j + i in the upper half. Apart, since between
// factors weights would not begin with lines of the cache.
#pragma once

#include <cstdint>

#include "core/cpu_level.h"

namespace binocle {

inline constexpr int64_t kInt4Group = 32;
inline constexpr int64_t kInt4FactorBytes = 32;                   // of a group
inline constexpr int64_t kInt4WeightBytes = kInt4Group * 64 / 2;  // of a group
constexpr int64_t Int4PanelBytes(int64_t depth) {
  return depth / kInt4Group * (kInt4FactorBytes + kInt4WeightBytes);
}

struct Int4Block {
  const int8_t* x;  // [rows, depth], leading dimension ldx: without an offset
  int64_t ldx;
  const int32_t* x_sums;  // [rows, depth / 32], leading dimension ldx / 32: of each group of x
  const uint8_t* w;       // a panel
  const int32_t* start;   // [64]: 128·Σ_k w[k, n], as MultiplyInt8Block would find it
  int32_t* c;             // [rows][64]
  int64_t rows;
  int64_t depth;  // of the whole panel, a multiple of 64
};

// Whether the level has a kernel for panels as they are.
bool MultipliesInt4Directly(CpuLevel level);
// c = start + Σ_k x·w, without expanding the panel. Needs MultipliesInt4Directly.
void MultiplyInt4Block(CpuLevel level, const Int4Block& block);

// A panel's factors and weights from some k on.
struct Int4Slice {
  const uint8_t* factors;
  const uint8_t* weights;
};
// Of a panel of `depth`; k is a multiple of 32.
inline Int4Slice Int4PanelFrom(const uint8_t* panel, int64_t depth, int64_t k) {
  const int64_t group = k / kInt4Group, groups = depth / kInt4Group;
  return {.factors = panel + group * kInt4FactorBytes,
          .weights = panel + groups * kInt4FactorBytes + group * kInt4WeightBytes};
}
// `depth` k of a panel as bytes, [depth / 4][64][4].
void ExpandInt4(CpuLevel level, const Int4Slice& slice, int64_t depth, int8_t* out);

void Int4BlockAvx2(const Int4Block& block);
void Int4BlockVnni(const Int4Block& block);
void ExpandInt4Scalar(const Int4Slice& slice, int64_t depth, int8_t* out);
void ExpandInt4Avx2(const Int4Slice& slice, int64_t depth, int8_t* out);
void ExpandInt4Avx512(const Int4Slice& slice, int64_t depth, int8_t* out);

}  // namespace binocle
