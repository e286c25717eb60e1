// Rows on their way to a product with compact weights, rounded once by the op that makes them instead of by each product that takes them.
//
//   const TensorView n = RowsInto(w.q, a.n);   // beside bf16, int8 and int4 weights another type in the same memory
//   RmsNorm(ex, a.x, w.norm, n);
//   Linear(ex, n, w.q, a.q);
//   Linear(ex, n, w.kv, a.kv);                 // the same numbers as from rows of f32, to the last bit
#pragma once

#include "core/ops/linear.h"

namespace binocle {

// Memory of f32 rows [T, K], dense, as what `next` takes: bf16 beside kBf16, bytes (u8, with a scale behind each row) beside kInt8 and kInt4, and f32 as it
// is beside others, and where K is no multiple of kPanelWidth. LayerNorm and RmsNorm make such rows.
TensorView RowsInto(const LinearWeights& next, const TensorView& rows);
// The same of rows that two take: f32 where what they take is not of one type.
TensorView RowsInto(const LinearWeights& next, const LinearWeights& other, const TensorView& rows);
// The same of rows that are made a panel's columns at a time by `maker`, when nobody knows a row's scale: bf16 between two of kBf16, or f32. LinearActivate
// and SwiGlu make such rows.
TensorView RowsBetween(const LinearWeights& maker, const LinearWeights& next,
                       const TensorView& rows);

// For ops. What rows of f32 become beside weights of a compact kind.
DType RoundedType(WeightKind kind);
// A row's successor begins so many bytes after its end: rows at multiples of 4 KiB would fall into the same sets of the first cache. The scale lies there.
inline constexpr int64_t kRowGapBytes = 64;
// Columns [column, column + count) of such a row; of bytes the whole row, with its scale.
void RoundIntoRow(const float* x, int64_t count, const TensorView& rows, int64_t row,
                  int64_t column);
// Of a row of bytes.
float ScaleOfRow(const TensorView& rows, int64_t row);

}  // namespace binocle
