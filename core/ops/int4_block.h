// Weights of four bits, and one panel of a product with them.
//
//   w[k, n] = (q[k, n] − 8)·m[g, n]     q in 0 … 15, m in 0 … 15, g = k / 32; times a scale per n
//
// Factors are whole numbers, so a weight is a byte of int8_block.h, −120 … 105: a panel that many rows pass is expanded and multiplied as one.
// Four bits per factor cost 1/8 bit a weight, as a scale of 16 bits per 128 weights would, for groups four times as fine.
//
// A panel is [depth / 32] groups of kInt4GroupBytes: 32 bytes of factors (byte n: m of column n, and of column n + 32 in the upper half), then
// [4][64][4] bytes: byte (j, n, i) holds q of k = 4·j + i, and of k = 16 + 4·j + i in the upper half.
#pragma once

#include <cstdint>

#include "core/cpu_level.h"

namespace binocle {

inline constexpr int64_t kInt4Group = 32;
inline constexpr int64_t kInt4GroupBytes = 32 + kInt4Group * 64 / 2;

struct Int4Block {
  const uint8_t* x;  // [rows, depth], leading dimension ldx, kByteOffset added
  int64_t ldx;
  const int32_t*
      x_sums;  // [rows, depth / 32], leading dimension ldx / 32: of each group of x, without kByteOffset
  const uint8_t* w;      // [depth / 32][kInt4GroupBytes]
  const int32_t* start;  // [64]: 128·Σ_k w[k, n], as MultiplyInt8Block would find it
  int32_t* c;            // [rows][64]
  int64_t rows;
  int64_t depth;  // a multiple of 32
};

// c = start + Σ_k (x − 128)·w for few rows, without expanding the panel. False where the level has no such kernel: c is untouched.
bool MultiplyInt4Block(CpuLevel level, const Int4Block& block);

// The panel's groups [0, depth / 32) as a panel of bytes, [depth / 4][64][4].
void ExpandInt4(CpuLevel level, const uint8_t* w, int64_t depth, int8_t* out);

void Int4BlockVnni(const Int4Block& block);
void ExpandInt4Scalar(const uint8_t* w, int64_t depth, int8_t* out);
void ExpandInt4Avx2(const uint8_t* w, int64_t depth, int8_t* out);
void ExpandInt4Avx512(const uint8_t* w, int64_t depth, int8_t* out);

}  // namespace binocle
