// The product with weights in blocks, which stay in the file: a strip of 16 features and 256 k is read into the thread's scratch as bytes (5.5 KiB) and
// multiplied at once by all rows of x, which are rounded first. One copy of the weights, the mapped file, serves one row and many.
#include <algorithm>

#include "core/ops/block_strip.h"
#include "core/ops/compact_rows.h"
#include "core/ops/linear_kernels.h"

namespace binocle {
namespace {

constexpr int64_t kStrips = kPanelWidth / kStripWidth;
// Rows of x, 2 KiB of a strip's depth, that meet all strips of a panel before the next ones do.
constexpr int64_t kChunkRows = 8;
constexpr int64_t kCacheLine = 64;

// Scratch of a thread: the strips of a panel, and sums.
struct PanelScratch {
  BlockStrip strips[kStrips];
  alignas(64) float sums[kSumRows][kPanelWidth];
};
constexpr int64_t kPanelScratchFloats = sizeof(PanelScratch) / sizeof(float);

// Panels of 64 features, all of one part: so a panel has one type.
struct PlacedPanel {
  const StoredLinear* part;
  int64_t row;      // of the part
  int64_t n0;       // of the matrix
  int64_t columns;  // ≤ 64
};

int64_t PanelsOf(const StoredLinear& part) {
  return (part.weight.dim(0) + kPanelWidth - 1) / kPanelWidth;
}

PlacedPanel PanelAt(const LinearWeights& w, int64_t panel) {
  int64_t n0 = 0;
  const StoredLinear* part = w.in_place.data();
  for (; panel >= PanelsOf(*part); ++part) {
    panel -= PanelsOf(*part);
    n0 += part->weight.dim(0);
  }
  const int64_t row = panel * kPanelWidth;
  return {.part = part,
          .row = row,
          .n0 = n0 + row,
          .columns = std::min(kPanelWidth, part->weight.dim(0) - row)};
}

// Where the strip's rows begin. Columns beyond the part repeat its last row, and nobody looks at what comes of them.
StripRows RowsOf(const PlacedPanel& panel, int64_t strip) {
  const TensorView& weight = panel.part->weight;
  const int64_t row_bytes = StoredBytes(weight.dtype(), weight.dim(1));
  const auto* base = static_cast<const uint8_t*>(weight.data());
  StripRows rows;
  for (int64_t n = 0; n < kStripWidth; ++n) {
    const int64_t row = std::min(panel.row + strip * kStripWidth + n, weight.dim(0) - 1);
    rows.row[n] = base + panel.part->order.Stored(row) * row_bytes;
  }
  return rows;
}

// Rows at multiples of 4 KiB would fall into the same sets of the first cache.
int64_t RowStride(int64_t k) { return k + kCacheLine; }
// Of four bytes for every group of all rows.
int64_t GroupBytes(int64_t rows, int64_t k) {
  return (rows * (k / kBlockGroup) * 4 + kCacheLine - 1) / kCacheLine * kCacheLine;
}

GroupedRows RoundGroups(Exec& ex, const TensorView& x) {
  const int64_t rows = x.dim(0), k = x.dim(1), groups = k / kBlockGroup;
  const int64_t ldx = RowStride(k), of_groups = GroupBytes(rows, k);
  auto* base = static_cast<std::byte*>(ex.Workspace(BlocksWorkspaceBytes(rows, k)));
  auto* bytes = reinterpret_cast<int8_t*>(base);
  base += rows * ldx;
  auto* scales = reinterpret_cast<float*>(base);
  auto* shifts = reinterpret_cast<float*>(base + of_groups);
  auto* sums = reinterpret_cast<int32_t*>(base + 2 * of_groups);
  ex.ParallelRanges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      RowAsGroups(x.row(r), k,
                  {.out = bytes + r * ldx,
                   .scales = scales + r * groups,
                   .shifts = shifts + r * groups,
                   .sums = sums + 2 * r * groups});
  });
  return {.x = bytes, .scales = scales, .shifts = shifts, .sums = sums, .ldx = ldx, .ldg = groups};
}

}  // namespace

int64_t BlocksWorkspaceBytes(int64_t rows, int64_t k) {
  return rows * RowStride(k) + 4 * GroupBytes(rows, k);
}
int64_t BlocksThreadBytes() { return kPanelScratchFloats * 4; }

namespace {

// One panel for some rows.
class BlockPanel {
 public:
  BlockPanel(CpuLevel level, const LinearWeights& w, const PlacedPanel& panel,
             PanelScratch& scratch)
      : level_(level),
        k_(w.k),
        panel_(panel),
        dtype_(panel.part->weight.dtype()),
        form_(FormOf(dtype_)),
        strips_((panel.columns + kStripWidth - 1) / kStripWidth),
        scratch_(scratch) {}

  // Reading the weights is the work: strip after strip, in the order of the file, with the next strip's blocks on their way.
  void FewRows(const GroupedRows& x, int64_t rows) {
    StripRows stored = RowsOf(panel_, 0);
    for (int64_t strip = 0; strip < strips_; ++strip) {
      const StripRows next = RowsOf(panel_, strip + 1);  // after the last one, of the next panel
      for (int64_t k = 0; k < k_; k += kStripDepth) {
        Fetch(next, k);
        Read(stored, k, scratch_.strips[0]);
        Multiply(scratch_.strips[0], k, x, rows, scratch_.sums[0] + strip * kStripWidth);
      }
      stored = next;
    }
  }

  // Multiplying is: each strip is read once, and rows of x stay near for all strips.
  void ManyRows(const GroupedRows& x, int64_t rows) {
    StripRows stored[kStrips];
    for (int64_t strip = 0; strip < strips_; ++strip) stored[strip] = RowsOf(panel_, strip);
    for (int64_t k = 0; k < k_; k += kStripDepth) {
      for (int64_t strip = 0; strip < strips_; ++strip)
        Read(stored[strip], k, scratch_.strips[strip]);
      for (int64_t row = 0; row < rows; row += kChunkRows) {
        const int64_t count = std::min(kChunkRows, rows - row);
        for (int64_t strip = 0; strip < strips_; ++strip)
          Multiply(scratch_.strips[strip], k, x.From(row, 0), count,
                   scratch_.sums[row] + strip * kStripWidth);
      }
    }
  }

 private:
  int64_t Depth(int64_t k) const { return std::min(kStripDepth, k_ - k); }

  // What Read will read at k.
  void Fetch(const StripRows& rows, int64_t k) const {
    const int64_t begin = StoredBytes(dtype_, k), end = StoredBytes(dtype_, k + Depth(k));
    for (const uint8_t* row : rows.row)
      for (int64_t i = begin; i < end; i += kCacheLine) __builtin_prefetch(row + i);
  }
  void Read(const StripRows& rows, int64_t k, BlockStrip& strip) const {
    StripRows at = rows;
    for (const uint8_t*& row : at.row) row += StoredBytes(dtype_, k);
    ReadStrip(level_, dtype_, at, Depth(k), panel_.part->scale, strip);
  }
  void Multiply(const BlockStrip& strip, int64_t k, const GroupedRows& x, int64_t rows,
                float* sums) const {
    MultiplyStrip(level_, {.w = strip,
                           .form = form_,
                           .x = x.From(0, k / kBlockGroup),
                           .rows = rows,
                           .groups = Depth(k) / kBlockGroup,
                           .c = sums,
                           .ldc = kPanelWidth,
                           .add = k > 0});
  }

  CpuLevel level_;
  int64_t k_;
  PlacedPanel panel_;
  DType dtype_;
  BlockForm form_;
  int64_t strips_;
  PanelScratch& scratch_;
};

}  // namespace

void LinearBlocks(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                  Accumulate accumulate) {
  const int64_t rows = x.dim(0);
  if (rows == 0) return;
  const GroupedRows rounded = RoundGroups(ex, x);
  int64_t panels = 0;
  for (const StoredLinear& part : w.in_place) panels += PanelsOf(part);
  ForPanels(ex, {.panels = panels, .rows = rows, .rows_at_once = rows, .panels_at_once = 1},
            kPanelScratchFloats, [&](const PanelTask& task, float* floats) {
              auto& scratch = *reinterpret_cast<PanelScratch*>(floats);
              const PlacedPanel panel = PanelAt(w, task.first);
              const int64_t end = task.first_row + task.rows;
              BlockPanel product(ex.cpu_level(), w, panel, scratch);
              for (int64_t row = task.first_row; row < end; row += kSumRows) {
                const int64_t count = std::min(kSumRows, end - row);
                const GroupedRows some = rounded.From(row, 0);
                rows <= kFewRows ? product.FewRows(some, count) : product.ManyRows(some, count);
                FinishBf16(&scratch.sums[0][0],
                           {.bias = w.bias.empty() ? nullptr : w.bias.f32() + panel.n0,
                            .y = y.row(row) + panel.n0,
                            .ldy = y.stride(0),
                            .rows = count,
                            .columns = panel.columns,
                            .add = accumulate == Accumulate::kAdd});
              }
            });
}

}  // namespace binocle
