// Inside Linear: how the work is split, and the two ways to compute one block of it.
#pragma once

#include <functional>

#include "core/ops/linear.h"

namespace binocle {

enum class Accumulate : uint8_t { kOverwrite, kAdd };

// oneDNN's blocks hold whole groups of 16 k.
constexpr int64_t PaddedDepth(int64_t k) { return (k + 15) / 16 * 16; }

// That shapes fit and rows are dense.
void CheckOperands(const TensorView& x, const LinearWeights& w, const TensorView& y);

// With packed weights, and with those that are read in place.
void LinearCpu(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
               Accumulate accumulate);
void LinearInPlace(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                   Accumulate accumulate);

// With weights that are read in place as the integers that they are (WeightKind::kBlocks).
void LinearBlocks(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                  Accumulate accumulate);

// With compact weights, and how they are made of rows of the parts.
void LinearCompact(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                   Accumulate accumulate);
// Each row of the result, a panel's columns at a time, goes through `then`.
using RowFunction = void (*)(float* row, int64_t width);
void LinearCompactThen(Exec& ex, const TensorView& x, const LinearWeights& w, RowFunction then,
                       const TensorView& y);
// What SwiGlu is with them; a panel's width divides F.
void SwiGluCompact(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y);
// On a GPU. OnDevice takes what PackCompact made, or a file had, to where `ex` has its tensors; PackOnDevice the parts, whose n, k and bias are in `w`.
LinearWeights OnDevice(Exec& ex, LinearWeights w);
LinearWeights PackOnDevice(Exec& ex, const std::vector<StoredLinear>& parts, LinearWeights w,
                           WeightKind kind);
void LinearOnDevice(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                    Accumulate accumulate);
CompactWeights PackCompact(Exec& ex, const std::vector<StoredLinear>& parts, int64_t n, int64_t k,
                           WeightKind kind);
// LinearWorkspaceBytes, LinearThreadBytes of those kinds, and the latter of kF32: rows read in place, and packed ones.
int64_t BlocksWorkspaceBytes(int64_t rows, int64_t k);
int64_t BlocksThreadBytes();
int64_t CompactWorkspaceBytes(int64_t rows, int64_t k, WeightKind kind);
int64_t CompactThreadBytes(int64_t k, WeightKind kind);
int64_t InPlaceThreadBytes();
int64_t PackedThreadBytes();
int64_t PaddedCompactDepth(int64_t k, WeightKind kind);
int64_t CompactPanelBytes(int64_t k, WeightKind kind);

// Up to so many rows reading the weights is the work.
inline constexpr int64_t kFewRows = 16;
// Rows whose sums for one panel, 32 KiB, stay near while the panel's k pass.
inline constexpr int64_t kSumRows = 128;

// What threads share out: all panels of a matrix for all rows, so many at once, at most, where rows are many.
struct PanelShare {
  int64_t panels;
  int64_t rows;
  int64_t rows_at_once;
  int64_t panels_at_once;
};
// Panels [first, first + panels) for rows [first_row, first_row + rows).
struct PanelTask {
  int64_t first, panels;
  int64_t first_row, rows;
  // Few rows: that the thread's task before, and its next one, are of the neighbouring panels.
  bool after_neighbour = false, before_neighbour = false;
};
// body(task, scratch) over all panels and rows. Tasks go in the order of memory, so that a thread's next one is near.
void ForPanels(Exec& ex, const PanelShare& share, int64_t scratch_floats,
               const std::function<void(const PanelTask&, float*)>& body);

// out[0 … depth) = elements k0 … of row r of the stacked parts, scaled. Both are multiples of the block of the part that r is in.
void ReadStackedRow(const std::vector<StoredLinear>& parts, int64_t r, int64_t k0, int64_t depth,
                    float* out);

// A rectangle of y: rows [m0, m1) × columns [n0, n1), n0 a multiple of the panel width.
struct Rectangle {
  int64_t m0, m1, n0, n1;
};

// y[m, n] += b[n] in the rectangle, where there is a bias.
void AddBias(const LinearWeights& w, const TensorView& y, const Rectangle& r);

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
