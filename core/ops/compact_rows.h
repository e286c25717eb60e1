// Activations as compact weights want them: rows of f32 become bfloat16, or bytes with a scale.
//
//   bytes   s = max_k |x_k| / 127     b_k = round(x_k / s) + 128, ties to even     x_k ≈ s·(b_k − 128)
//
// A row of zeros has s = 0, one with an infinity or NaN has s = NaN. The scale is a row's own, so a row does not depend on the others.
// Beside weights in blocks (block_strip.h) every 32 k have a scale, and bytes have no offset.
#pragma once

#include <cstdint>

#include "core/convert.h"

namespace binocle {

inline constexpr int32_t kByteOffset = 128;

// out[0 … padded): x rounded to nearest even, then zeros.
void RowAsBf16(const float* x, int64_t k, int64_t padded, Bf16* out);
// out[0 … 2·count): the numbers of both rows, rounded, in turns.
void PairRowsAsBf16(const float* even, const float* odd, int64_t count, Bf16* out);
// out[0 … padded): the bytes, then kByteOffset. Returns s.
float RowAsBytes(const float* x, int64_t k, int64_t padded, uint8_t* out);
// The same by groups of 32, of which k is a multiple: scales and shifts [k / 32], s and s·Σ b of each group; sums [k / 16], Σ b of its halves, or null.
// A row may be one of several whose fours of k lie side by side.
struct RowGroups {
  int8_t* out;  // [k / 4][rows][4]
  float* scales;
  float* shifts;
  int32_t* sums;
  int64_t rows = 1;
  int64_t step = 1;  // from a group to the next, in scales and shifts
};
void RowAsGroups(const float* x, int64_t k, const RowGroups& to);

// What is left to do with sums c [rows][64] of one panel:
//   y = scale·(c − start)·row_scale (+ y) + bias     sums of bytes; scale, start [64], row_scale [rows]
//   y = c (+ y) + bias                               sums of bfloat16
struct FinishPanel {
  const float* bias;  // [64], or null
  float* y;           // [rows, columns], leading dimension ldy
  int64_t ldy;
  int64_t rows;
  int64_t columns;  // ≤ 64
  bool add;         // to what y holds
};
void FinishBytes(const int32_t* c, const int32_t* start, const float* scale, const float* row_scale,
                 const FinishPanel& to);
void FinishBf16(const float* c, const FinishPanel& to);

}  // namespace binocle
