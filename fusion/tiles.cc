#include "fusion/tiles.h"

#include <algorithm>

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
  const auto copy = [&](const float* from, int64_t row) { std::copy_n(from, width, out.row(row)); };
  Tensor resampled;
  if (kept.patches() != shown.patches()) {
    Tensor whole = Tensor::F32({shown.patches(), width}, "tiles.shown");
    for (int64_t y = 0; y < shown.height; ++y) {
      for (int64_t x = 0; x < shown.width; ++x)
        std::copy_n(tiles.row(RowOf(layout, y, x)), width, whole.row(y * shown.width + x));
    }
    resampled = Tensor::F32({kept.patches(), width}, "tiles.kept");
    ResampleBilinear(ex, whole, shown, kept, resampled);
  }
  for (int64_t y = 0; y < kept.height; ++y) {
    const int64_t begin = y * (kept.width + 1);
    for (int64_t x = 0; x < kept.width; ++x)
      copy(resampled.empty() ? tiles.row(RowOf(layout, y, x)) : resampled.row(y * kept.width + x),
           begin + x);
    copy(newline.f32(), begin + kept.width);
  }
}

}  // namespace binocle
