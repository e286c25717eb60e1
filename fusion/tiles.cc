#include "fusion/tiles.h"

#include <utility>
#include <vector>

#include "core/ops/elementwise.h"
#include "fusion/resample.h"

namespace binocle {
namespace {

// Where patch (y, x) of what is shown is among the tiles' rows.
int64_t RowOf(const TileLayout& l, int64_t y, int64_t x) {
  const int64_t g = l.patches;
  const int64_t row = l.first_row + y, col = l.first_col + x;
  return (row / g * l.cols + col / g) * g * g + row % g * g + col % g;
}

}  // namespace

void ArrangeTiles(Exec& ex, const TileLayout& layout, const TensorView& tiles,
                  const TensorView& newline, const TensorView& out) {
  const int64_t width = tiles.dim(1);
  const PatchGrid shown = layout.shown, kept = layout.kept;
  BINOCLE_CHECK(tiles.dim(0) == layout.tiles() * layout.patches * layout.patches &&
                    out.dim(0) == kept.height * (kept.width + 1),
                tiles.shape().ToString(), " ", out.shape().ToString());
  const Place place = tiles.on_cuda() ? ex.place() : Place{};
  std::vector<int32_t> rows;  // of `tiles`, of what is shown
  for (int64_t y = 0; y < shown.height; ++y)
    for (int64_t x = 0; x < shown.width; ++x)
      rows.push_back(static_cast<int32_t>(RowOf(layout, y, x)));
  Tensor whole = Tensor::F32({shown.patches(), width}, "tiles.shown", place);
  EmbeddingRows(ex, tiles, rows, whole);
  if (kept.patches() != shown.patches()) {
    Tensor resampled = Tensor::F32({kept.patches(), width}, "tiles.kept", place);
    ResampleBilinear(ex, whole, shown, kept, resampled);
    whole = std::move(resampled);
  }
  const TensorView line_end = newline.Reshape({1, width});
  for (int64_t y = 0; y < kept.height; ++y) {
    const int64_t begin = y * (kept.width + 1), end = begin + kept.width;
    CopyRows(ex, whole.view().Rows(y * kept.width, (y + 1) * kept.width), out.Rows(begin, end));
    CopyRows(ex, line_end, out.Rows(end, end + 1));
  }
}

}  // namespace binocle
