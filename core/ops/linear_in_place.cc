// The product with weights that stay in the file: a stripe of a panel is expanded into the thread's scratch and multiplied at once, as
// one or two of the blocks that packed weights have. So the sums, and their order, are those of LinearCpu.
//
// Panels are what threads share out, also where they are few: the rows of x would share better, and expand every panel once a thread.
#include <algorithm>

#include "core/ops/linear_kernels.h"

namespace binocle {
namespace {

// k expanded at a time: the longest block of any type. 64 KiB of f32, which every row of x reads again.
constexpr int64_t kStripe = 256;
static_assert(kStripe % kDepthBlock == 0);

// Rows expanded before they are turned: 16 KiB, and a line of the panel each time they are read across. The distance between them keeps
// the elements of one k out of the same cache set.
constexpr int64_t kRowsAtOnce = 16;
constexpr int64_t kRowStride = kStripe + 16;

constexpr int64_t kPanelFloats = kStripe * kPanelWidth;
constexpr int64_t kScratchFloats = kPanelFloats + kRowsAtOnce * kRowStride;

// panel[i][c] = W[n0 + c, k0 + i] for i < depth, as LinearBlock's b. `depth` is a multiple of 32, for so is k where a part has blocks, so
// depth blocks need no padding between them.
void ExpandStripe(const LinearWeights& w, int64_t n0, int64_t k0, int64_t depth, float* scratch) {
  float* rows = scratch + kPanelFloats;
  const int64_t columns = std::min(kPanelWidth, w.n - n0);
  for (int64_t c0 = 0; c0 < columns; c0 += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, columns - c0);
    for (int64_t c = 0; c < count; ++c)
      ReadStackedRow(w.in_place, n0 + c0 + c, k0, depth, rows + c * kRowStride);
    for (int64_t i = 0; i < depth; ++i) {
      float* out = scratch + i * kPanelWidth + c0;
      for (int64_t c = 0; c < count; ++c) out[c] = rows[c * kRowStride + i];
    }
  }
}

}  // namespace

int64_t InPlaceThreadBytes() { return kScratchFloats * 4; }

void LinearInPlace(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                   Accumulate accumulate) {
  const int64_t rows = x.dim(0);
  if (rows == 0) return;
  ex.ParallelWithScratch(w.panels(), kScratchFloats, [&](int64_t panel, float* scratch) {
    const int64_t n0 = panel * kPanelWidth;
    const int64_t n1 = std::min(n0 + kPanelWidth, w.n);
    for (int64_t k0 = 0; k0 < w.k; k0 += kDepthBlock) {
      const int64_t in_stripe = k0 % kStripe;
      if (in_stripe == 0) ExpandStripe(w, n0, k0, std::min(kStripe, w.k - k0), scratch);
      LinearBlockSimd({.a = x.f32() + k0,
                       .lda = x.stride(0),
                       .b = scratch + in_stripe * kPanelWidth,
                       .c = y.f32() + n0,
                       .ldc = y.stride(0),
                       .rows = rows,
                       .depth = std::min(kDepthBlock, w.k - k0),
                       .columns = n1 - n0,
                       .accumulate = k0 > 0 ? Accumulate::kAdd : accumulate});
    }
    AddBias(w, y, {.m0 = 0, .m1 = rows, .n0 = n0, .n1 = n1});
  });
}

}  // namespace binocle
