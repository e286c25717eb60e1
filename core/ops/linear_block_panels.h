// Inside LinearBlocks: panels of 64 features, all of one part of the matrix, so that a panel has one block type.
#pragma once

#include <cstdint>

#include "core/ops/block_strip.h"
#include "core/ops/linear_kernels.h"

namespace binocle {

inline constexpr int64_t kPanelStrips = kPanelWidth / kStripWidth;

struct PlacedPanel {
  const StoredLinear* part;
  int64_t row;      // of the part
  int64_t n0;       // of the matrix
  int64_t columns;  // ≤ 64

  int64_t strips() const { return (columns + kStripWidth - 1) / kStripWidth; }
};

int64_t BlockPanels(const LinearWeights& w);  // how many
PlacedPanel BlockPanelAt(const LinearWeights& w, int64_t panel);

// Where the strip's rows begin. Columns beyond the part repeat its last row, and nobody looks at what comes of them.
StripRows RowsOfStrip(const PlacedPanel& panel, int64_t strip);

// Rows of a strip that are a fixed number of bytes apart: as they are stored, or, where they are not, copies of the k at hand.
class EvenedRows {
 public:
  struct Copies {
    // 256 k in the type of the longest blocks, and 16 bytes
    static constexpr int64_t kStride = kStripDepth / kBlockGroup * 34 + 16;
    alignas(64) uint8_t of[kStripWidth][kStride];
  };
  EvenedRows(const StripRows& rows, Copies& copies);
  // That At copies nothing.
  bool even() const { return stride_ != 0; }
  // Bytes [begin, end) of each row: of at most kStripDepth k, unless even.
  EvenRows At(int64_t begin, int64_t end) const;

 private:
  const StripRows& rows_;
  Copies& copies_;
  int64_t stride_;
};

// The product by tiles (block_tiles.h), at level kAmx, and what it takes of the workspace and of a thread's scratch.
void LinearBlockTiles(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                      Accumulate accumulate);
int64_t BlockTilesWorkspaceBytes(int64_t rows, int64_t k);
int64_t BlockTilesThreadBytes();

}  // namespace binocle
