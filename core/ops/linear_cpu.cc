#include <algorithm>

#include "core/ops/gemm_plans.h"
#include "core/ops/linear_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/linear_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "core/simd/panel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {

template <Store kStore>
void BlockPanels(const LinearBlock& block) {
  const int64_t panel_stride = PaddedDepth(block.depth) * kPanelWidth;
  for (int64_t column = 0; column < block.columns; column += kPanelWidth) {
    Panel<kStore>({.a = block.a,
                   .lda = block.lda,
                   .b = block.b + column / kPanelWidth * panel_stride,
                   .ldb = kPanelWidth,
                   .c = block.c + column,
                   .ldc = block.ldc,
                   .depth = block.depth,
                   .columns = std::min(kPanelWidth, block.columns - column)},
                  block.rows);
  }
}

void BlockSimd(const LinearBlock& block) {
  if (block.accumulate == Accumulate::kAdd) {
    BlockPanels<Store::kAdd>(block);
  } else {
    BlockPanels<Store::kOverwrite>(block);
  }
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {

HWY_EXPORT(BlockSimd);

// Row counts for which oneDNN plans are made, so that a stream of prompts of every length compiles a handful of plans and not one
// per length. What is left over, and every decode step, goes through our own kernel, which sums in the same order.
constexpr int64_t kPlannedRows[] = {128, 32};

// A rectangle of y: rows [m0, m1) × columns [n0, n1), n0 a multiple of the panel width.
struct Rectangle {
  int64_t m0, m1, n0, n1;
};

void RunBlock(Exec& ex, LinearBlock block) {
  for (const int64_t planned : kPlannedRows) {
    while (block.rows >= planned) {
      LinearBlock part = block;
      part.rows = planned;
      if (!ex.gemm_plans().Run(part)) LinearBlockSimd(part);
      block.rows -= planned;
      block.a += planned * block.lda;
      block.c += planned * block.ldc;
    }
  }
  if (block.rows > 0) LinearBlockSimd(block);
}

void Compute(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y, Accumulate accumulate, const Rectangle& r) {
  for (int64_t k0 = 0; k0 < w.k; k0 += kDepthBlock) {
    const int64_t depth = std::min(kDepthBlock, w.k - k0);
    RunBlock(ex, {.a = x.row(r.m0) + k0,
                  .lda = x.stride(0),
                  .b = w.block(k0) + r.n0 * PaddedDepth(depth),
                  .c = y.row(r.m0) + r.n0,
                  .ldc = y.stride(0),
                  .rows = r.m1 - r.m0,
                  .depth = depth,
                  .columns = r.n1 - r.n0,
                  .accumulate = k0 > 0 ? Accumulate::kAdd : accumulate});
  }
  if (w.bias.empty()) return;
  for (int64_t m = r.m0; m < r.m1; ++m) {
    float* row = y.row(m);
    for (int64_t n = r.n0; n < r.n1; ++n) row[n] += w.bias.f32()[n];
  }
}

}  // namespace

void LinearBlockSimd(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(BlockSimd)(block); }

void LinearCpu(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y, Accumulate accumulate) {
  const int64_t rows = x.dim(0);
  if (rows == 0) return;
  // Panels are shared out first: then each thread reads its own part of the weights once. Few panels and many rows: share rows.
  const int64_t threads = ex.threads();
  if (w.panels() >= 4 * threads || rows < 2 * threads) {
    ex.ParallelRanges(w.panels(), 1, [&](int64_t begin, int64_t end) {
      const Rectangle part{.m0 = 0, .m1 = rows, .n0 = begin * kPanelWidth, .n1 = std::min(end * kPanelWidth, w.n)};
      // Bounded row groups keep the active part of x and y in cache while a group of panels is reused.
      constexpr int64_t kRowGroup = 256;
      for (int64_t m = 0; m < rows; m += kRowGroup) {
        Compute(ex, x, w, y, accumulate, {.m0 = m, .m1 = std::min(m + kRowGroup, rows), .n0 = part.n0, .n1 = part.n1});
      }
    });
  } else {
    ex.ParallelRanges(rows, 16, [&](int64_t begin, int64_t end) {
      Compute(ex, x, w, y, accumulate, {.m0 = begin, .m1 = end, .n0 = 0, .n1 = w.n});
    });
  }
}

}  // namespace binocle
#endif  // HWY_ONCE
