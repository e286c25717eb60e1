// The product with weights in blocks, which stay in the file, by rows of x that are rounded first. One copy of the weights, the mapped file, serves one row
// and many: few rows as blocks come from memory (block_rows.h); many by tiles (linear_block_tiles.cc); and else, a strip of 16 features and 256 k
// is read into the thread's scratch as bytes (5.5 KiB) and multiplied at once by all rows.
#include <algorithm>

#include "core/ops/block_rows.h"
#include "core/ops/compact_rows.h"
#include "core/ops/linear_block_panels.h"

namespace binocle {
namespace {

// Rows of x, 2 KiB of a strip's depth, that meet all strips of a panel before the next ones do.
constexpr int64_t kChunkRows = 8;
constexpr int64_t kCacheLine = 64;

// Scratch of a thread: the strips of a panel, and sums.
struct PanelScratch {
  BlockStrip strips[kPanelStrips];
  EvenedRows::Copies copies;
  alignas(64) float sums[kSumRows][kPanelWidth];
};
constexpr int64_t kPanelScratchFloats = sizeof(PanelScratch) / sizeof(float);

// Rows at multiples of 4 KiB would fall into the same sets of the first cache.
int64_t RowStride(int64_t k) { return k + kCacheLine; }
// Of four bytes for every group of all rows.
int64_t GroupBytes(int64_t rows, int64_t k) {
  return (rows * (k / kBlockGroup) * 4 + kCacheLine - 1) / kCacheLine * kCacheLine;
}

int64_t StripsWorkspaceBytes(int64_t rows, int64_t k) {
  return rows * RowStride(k) + 4 * GroupBytes(rows, k);
}

GroupedRows RoundGroups(Exec& ex, const TensorView& x) {
  const int64_t rows = x.dim(0), k = x.dim(1), groups = k / kBlockGroup;
  const int64_t ldx = RowStride(k), of_groups = GroupBytes(rows, k);
  auto* base = static_cast<std::byte*>(ex.Workspace(StripsWorkspaceBytes(rows, k)));
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
  return std::max(StripsWorkspaceBytes(rows, k), BlockTilesWorkspaceBytes(rows, k));
}
int64_t BlocksThreadBytes() { return std::max(kPanelScratchFloats * 4, BlockTilesThreadBytes()); }

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
        strips_(panel.strips()),
        scratch_(scratch) {}

  // Without strips: at level kAvx2 at least, at most kDirectRows. Rows of 16 features are brought while those before are multiplied; where the thread comes
  // from elsewhere, at once, and where it leaves, none are brought for others.
  void Directly(const GroupedRows& x, int64_t rows, const PanelTask& task) {
    StripRows stored = RowsOfStrip(panel_, 0);
    if (!task.after_neighbour) RowsAhead(stored, StoredBytes(dtype_, k_)).FetchAll();
    for (int64_t strip = 0; strip < strips_; ++strip) {
      const bool leaves = strip + 1 == strips_ && !task.before_neighbour;
      const StripRows next = leaves ? stored : RowsOfStrip(panel_, strip + 1);
      const EvenedRows evened(stored, scratch_.copies);
      const int64_t at_once = evened.even() ? k_ : kStripDepth;
      const RowsAhead brought(next, StoredBytes(dtype_, k_));
      RowsAhead::Cursor ahead = brought.Begin();
      for (int64_t k = 0; k < k_; k += at_once) {
        const int64_t depth = std::min(at_once, k_ - k);
        MultiplyDirectly(level_,
                         {.dtype = dtype_,
                          .scale = panel_.part->scale,
                          .w = evened.At(StoredBytes(dtype_, k), StoredBytes(dtype_, k + depth)),
                          .depth = depth,
                          .x = x.From(0, k / kBlockGroup),
                          .rows = rows,
                          .c = scratch_.sums[0] + strip * kStripWidth,
                          .ldc = kPanelWidth,
                          .add = k > 0,
                          .ahead = ahead});
      }
      stored = next;
    }
  }

  // Reading the weights is the work: strip after strip, in the order of the file, with the next strip's blocks on their way.
  void FewRows(const GroupedRows& x, int64_t rows) {
    StripRows stored = RowsOfStrip(panel_, 0);
    for (int64_t strip = 0; strip < strips_; ++strip) {
      const StripRows next =
          RowsOfStrip(panel_, strip + 1);  // after the last one, of the next panel
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
    StripRows stored[kPanelStrips];
    for (int64_t strip = 0; strip < strips_; ++strip) stored[strip] = RowsOfStrip(panel_, strip);
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
  const bool direct = rows <= kDirectRows && ex.cpu_level() >= CpuLevel::kAvx2;
  if (ex.cpu_level() >= CpuLevel::kAmx && !direct) return LinearBlockTiles(ex, x, w, y, accumulate);
  const GroupedRows rounded = RoundGroups(ex, x);
  ForPanels(ex, {.panels = BlockPanels(w), .rows = rows, .rows_at_once = rows, .panels_at_once = 1},
            kPanelScratchFloats, [&](const PanelTask& task, float* floats) {
              auto& scratch = *reinterpret_cast<PanelScratch*>(floats);
              const PlacedPanel panel = BlockPanelAt(w, task.first);
              const int64_t end = task.first_row + task.rows;
              BlockPanel product(ex.cpu_level(), w, panel, scratch);
              for (int64_t row = task.first_row; row < end; row += kSumRows) {
                const int64_t count = std::min(kSumRows, end - row);
                const GroupedRows some = rounded.From(row, 0);
                if (direct)
                  product.Directly(some, count, task);
                else
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
