// The visual tokens of a picture seen in tiles (vision/tiling.h).
#pragma once

#include "core/exec.h"
#include "core/tensor.h"
#include "vision/tiling.h"

namespace binocle {

// tiles [tiles·g², D], each tile's rows row-major -> out [kept.height·(kept.width + 1), D]: the grid's rows, each closed by `newline` [D].
void ArrangeTiles(Exec& ex, const TileLayout& layout, const TensorView& tiles,
                  const TensorView& newline, const TensorView& out);

}  // namespace binocle
