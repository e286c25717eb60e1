// The product with weights in blocks by tiles of AMX: 16 features and 256 k at a time are read into rows of bytes, or left in the file where they are such,
// and multiplied at once by all rows of x, which are rounded and laid into tiles first.
#include "core/ops/block_tiles.h"
#include "core/ops/compact_rows.h"
#include "core/ops/linear_block_panels.h"

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>

namespace binocle {
namespace {

// Rows of x that meet a strip while its bytes are near: reading it costs as much as multiplying it by two to four tiles of rows.
constexpr int64_t kNearRows = 256;
constexpr int64_t kScratchLine = 64;

int64_t TilesOf(int64_t rows) { return (rows + kTileWidth - 1) / kTileWidth; }

struct TilesScratch {
  TileStrip strip;
  EvenedRows::Copies copies;
  alignas(kScratchLine) float chains[kPanelStrips][kNearRows * kStripWidth];  // by tiles
  alignas(kScratchLine) float rows[kNearRows][kPanelWidth];
};
constexpr int64_t kTilesScratchFloats = sizeof(TilesScratch) / sizeof(float);

TileRows RoundIntoTiles(Exec& ex, const TensorView& x) {
  const int64_t rows = x.dim(0), k = x.dim(1), tile_groups = k / kBlockGroup * kTileWidth;
  const int64_t tiles = TilesOf(rows);
  auto* base = static_cast<std::byte*>(ex.Workspace(BlockTilesWorkspaceBytes(rows, k)));
  auto* bytes = reinterpret_cast<int8_t*>(base);
  auto* scales = reinterpret_cast<float*>(base + tiles * kTileWidth * k);
  float* shifts = scales + tiles * tile_groups;
  ex.ParallelRanges(tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      int8_t* of_tile = bytes + tile * kTileWidth * k;
      float* s = scales + tile * tile_groups;
      float* shift = shifts + tile * tile_groups;
      const int64_t count = std::min(kTileWidth, rows - tile * kTileWidth);
      if (count < kTileWidth) {
        std::memset(of_tile, 0, static_cast<size_t>(kTileWidth * k));
        std::fill_n(s, tile_groups, 0.0F);
        std::fill_n(shift, tile_groups, 0.0F);
      }
      for (int64_t r = 0; r < count; ++r)
        RowAsGroups(x.row(tile * kTileWidth + r), k,
                    {.out = of_tile + 4 * r,
                     .scales = s + r,
                     .shifts = shift + r,
                     .sums = nullptr,
                     .rows = kTileWidth,
                     .step = kTileWidth});
    }
  });
  return {.x = bytes, .scales = scales, .shifts = shifts, .k = k};
}

// One panel for some rows.
class TilePanel {
 public:
  TilePanel(const PlacedPanel& panel, const TileRows& x, TilesScratch& scratch)
      : panel_(panel),
        dtype_(panel.part->weight.dtype()),
        form_(FormOf(dtype_)),
        x_(x),
        strips_(panel.strips()),
        scratch_(scratch) {}

  // scratch.rows = the sums of the first `tiles` tiles of x.
  void Multiply(int64_t tiles) {
    const StripTiles configured(form_);
    for (int64_t strip = 0; strip < strips_; ++strip) {
      rows_ = RowsOfStrip(panel_, strip);
      next_ = RowsOfStrip(panel_, strip + 1);  // after the last one, of the next panel
      const EvenedRows evened(rows_, scratch_.copies);
      for (int64_t k = 0; k < x_.k; k += kStripDepth) {
        const int64_t begin = StoredBytes(dtype_, k), end = StoredBytes(dtype_, k + Depth(k));
        Fetch(begin, end);
        ReadTileStrip(dtype_, evened.At(begin, end), Depth(k), panel_.part->scale, scratch_.strip);
        MultiplyTiles({.w = scratch_.strip,
                       .form = form_,
                       .x = x_.From(0, k / kBlockGroup),
                       .tiles = tiles,
                       .groups = Depth(k) / kBlockGroup,
                       .c = scratch_.chains[strip],
                       .add = k > 0});
      }
      RowsOfTiles(scratch_.chains[strip], tiles, scratch_.rows[0] + strip * kStripWidth,
                  kPanelWidth);
    }
  }

 private:
  int64_t Depth(int64_t k) const { return std::min(kStripDepth, x_.k - k); }
  // What the next strip has at the k at hand.
  void Fetch(int64_t begin, int64_t end) const {
    const int64_t whole = StoredBytes(dtype_, x_.k);
    if (next_.row[kStripWidth - 1] - next_.row[0] == (kStripWidth - 1) * whole) {  // as they lie
      for (int64_t i = begin * kStripWidth; i < end * kStripWidth; i += kScratchLine)
        __builtin_prefetch(next_.row[0] + i);
      return;
    }
    for (const uint8_t* row : next_.row)
      for (int64_t i = begin; i < end; i += kScratchLine) __builtin_prefetch(row + i);
  }

  PlacedPanel panel_;
  DType dtype_;
  BlockForm form_;
  TileRows x_;
  int64_t strips_;
  TilesScratch& scratch_;
  StripRows rows_{}, next_{};
};

}  // namespace

int64_t BlockTilesWorkspaceBytes(int64_t rows, int64_t k) {
  return TilesOf(rows) * kTileWidth * (k + 2 * 4 * (k / kBlockGroup));
}
int64_t BlockTilesThreadBytes() { return kTilesScratchFloats * 4; }

void LinearBlockTiles(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                      Accumulate accumulate) {
  const int64_t rows = x.dim(0);
  const TileRows tiles = RoundIntoTiles(ex, x);
  ForPanels(ex, {.panels = BlockPanels(w), .rows = rows, .rows_at_once = rows, .panels_at_once = 1},
            kTilesScratchFloats, [&](const PanelTask& task, float* floats) {
              auto& scratch = *reinterpret_cast<TilesScratch*>(floats);
              const PlacedPanel panel = BlockPanelAt(w, task.first);
              const int64_t end = task.first_row + task.rows;
              for (int64_t row = task.first_row; row < end; row += kNearRows) {
                const int64_t count = std::min(kNearRows, end - row);
                TilePanel(panel, tiles.From(row / kTileWidth, 0), scratch).Multiply(TilesOf(count));
                FinishBf16(&scratch.rows[0][0],
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

#else

namespace binocle {

int64_t BlockTilesWorkspaceBytes(int64_t /*rows*/, int64_t /*k*/) { return 0; }
int64_t BlockTilesThreadBytes() { return 0; }
void LinearBlockTiles(Exec& /*ex*/, const TensorView& /*x*/, const LinearWeights& /*w*/,
                      const TensorView& /*y*/, Accumulate /*accumulate*/) {
  BINOCLE_CHECK(false, "only x86 has such a level");
}

}  // namespace binocle

#endif
