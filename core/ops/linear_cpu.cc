#include <algorithm>
#include <cstring>

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

// The operands of one call.
struct Product {
  const TensorView& x;
  const LinearWeights& w;
  const TensorView& y;
  Accumulate accumulate;

  LinearBlock Block(const Rectangle& r, int64_t k0) const {
    const int64_t depth = std::min(kDepthBlock, w.k - k0);
    return {.a = x.row(r.m0) + k0,
            .lda = x.stride(0),
            .b = w.block(k0) + r.n0 * PaddedDepth(depth),
            .c = y.row(r.m0) + r.n0,
            .ldc = y.stride(0),
            .rows = r.m1 - r.m0,
            .depth = depth,
            .columns = r.n1 - r.n0,
            .accumulate = k0 > 0 ? Accumulate::kAdd : accumulate};
  }
};

void ComputeSimd(const Product& p, const Rectangle& r) {
  for (int64_t k0 = 0; k0 < p.w.k; k0 += kDepthBlock) LinearBlockSimd(p.Block(r, k0));
}

// oneDNN's blocked kernels want dense operands, so a tile of y is gathered on the stack, summed over all depth blocks, and put back.
// One row count and at most two widths keep the number of compiled plans small, whatever lengths prompts have.
constexpr int64_t kPlannedRows = 128;
constexpr int64_t kPlannedColumns = 256;

void CopyTile(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows,
              int64_t columns) {
  for (int64_t i = 0; i < rows; ++i)
    std::memcpy(to + i * to_stride, from + i * from_stride,
                static_cast<size_t>(columns) * sizeof(float));
}

// One tile of at most kPlannedRows × kPlannedColumns. Returns false, with y untouched, where oneDNN will not do it.
bool ComputePlanned(GemmPlans& plans, const Product& p, const Rectangle& r) {
  alignas(64) float a[kPlannedRows * kDepthBlock];
  alignas(64) float c[kPlannedRows * kPlannedColumns];
  const int64_t rows = r.m1 - r.m0;
  const int64_t columns = r.n1 - r.n0;
  if (p.accumulate == Accumulate::kAdd)
    CopyTile(p.y.row(r.m0) + r.n0, p.y.stride(0), c, columns, rows, columns);
  for (int64_t k0 = 0; k0 < p.w.k; k0 += kDepthBlock) {
    LinearBlock block = p.Block(r, k0);
    CopyTile(block.a, block.lda, a, block.depth, rows, block.depth);
    block.a = a;
    block.lda = block.depth;
    block.c = c;
    block.ldc = columns;
    if (!plans.Run(block)) return false;
  }
  CopyTile(c, columns, p.y.row(r.m0) + r.n0, p.y.stride(0), rows, columns);
  return true;
}

void Compute(Exec& ex, const Product& p, Rectangle r) {
  const Rectangle whole = r;
  for (; r.m1 - r.m0 >= kPlannedRows; r.m0 += kPlannedRows) {
    for (int64_t n = r.n0; n < r.n1; n += kPlannedColumns) {
      const Rectangle tile{.m0 = r.m0,
                           .m1 = r.m0 + kPlannedRows,
                           .n0 = n,
                           .n1 = std::min(n + kPlannedColumns, r.n1)};
      if (!ComputePlanned(ex.gemm_plans(), p, tile)) ComputeSimd(p, tile);
    }
  }
  if (r.m1 > r.m0) ComputeSimd(p, r);
  AddBias(p.w, p.y, whole);
}

}  // namespace

int64_t PackedThreadBytes() {
  return (kPlannedRows * kDepthBlock + kPlannedRows * kPlannedColumns) * 4 + kPlanScratchBytes;
}

void LinearBlockSimd(const LinearBlock& block) { HWY_DYNAMIC_DISPATCH(BlockSimd)(block); }

void LinearCpu(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
               Accumulate accumulate) {
  const int64_t rows = x.dim(0);
  if (rows == 0) return;
  const Product product{x, w, y, accumulate};
  // Panels are shared out first: then each thread reads its own part of the weights once. Few panels and many rows: share rows.
  const int64_t threads = ex.threads();
  if (w.panels() >= 4 * threads || rows < 2 * threads) {
    ex.ParallelRanges(w.panels(), 1, [&](int64_t begin, int64_t end) {
      Compute(
          ex, product,
          {.m0 = 0, .m1 = rows, .n0 = begin * kPanelWidth, .n1 = std::min(end * kPanelWidth, w.n)});
    });
  } else {
    ex.ParallelRanges(rows, 16, [&](int64_t begin, int64_t end) {
      Compute(ex, product, {.m0 = begin, .m1 = end, .n0 = 0, .n1 = w.n});
    });
  }
}

}  // namespace binocle
#endif  // HWY_ONCE
