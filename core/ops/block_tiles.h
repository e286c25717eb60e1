// Weights in block types as tiles of AMX take them: rows of bytes, as they are stored. Same arithmetic as block_strip.h, same bits.
//
//   w[n, k] = a[p, n]·v[k, n] + m[g, n]      v = u − zero, −128 … 127; g: 32 k; p: a group, or, where the type has a factor for each, its halves
//
// A tile of 16 features × 32 k (of 16 × 16 for halves), times the same k of 16 rows of x, is exact sums of integers [16][16]; a row of x has a lane, hence
// a chain, of its own. Rows of weights lie as they are stored, so that nothing is turned.
#pragma once

#include <cstdint>

#include "core/block_types.h"
#include "core/ops/block_strip.h"

namespace binocle {

inline constexpr int64_t kTileWidth = 16;  // rows of x
// Between rows of bytes: no two of 16 fall into one set of the first cache.
inline constexpr int64_t kTileStride = kStripDepth + 64;

// 16 features, kStripDepth k at most.
struct TileStrip {
  alignas(64) int8_t v[kStripWidth][kTileStride];
  float a[kStripDepth / kHalfGroup][kStripWidth];
  float m[kStripDepth / kBlockGroup][kStripWidth];
};

// `depth` k, a multiple of the type's block and at most kStripDepth; a and m times `scale`. At level kAvx512 at least.
void ReadTileStrip(DType dtype, const EvenRows& rows, int64_t depth, float scale, TileStrip& out);

// Rows of x in tiles of 16 of them; rows that are missing are zeros.
struct TileRows {
  const int8_t* x;      // [tiles][k / 4][16][4]
  const float* scales;  // [tiles][groups][16]: s
  const float* shifts;  // [tiles][groups][16]: s·Σ b
  int64_t k;

  int64_t groups() const { return k / kBlockGroup; }
  // From a tile and a group on.
  TileRows From(int64_t tile, int64_t group) const {
    const int64_t at = (tile * groups() + group) * kTileWidth;
    return {.x = x + at * kBlockGroup, .scales = scales + at, .shifts = shifts + at, .k = k};
  }
};

// A thread's tiles as these products have them, from here to its end.
class StripTiles {
 public:
  explicit StripTiles(const BlockForm& form);
  ~StripTiles();
  StripTiles(const StripTiles&) = delete;
  StripTiles& operator=(const StripTiles&) = delete;
};

struct TileProduct {
  const TileStrip& w;
  BlockForm form;
  TileRows x;
  int64_t tiles;   // of rows, at least one
  int64_t groups;  // of the strip
  float* c;        // [tiles][16 features][16 rows], aligned to 64 bytes
  bool add;        // to what c holds
};

// Within StripTiles of the same form, at level kAmx.
void MultiplyTiles(const TileProduct& product);

// out[r][n] = c[tile][n][r of the tile] of `tiles` tiles; ldo: from a row to the next. At level kAvx512 at least.
void RowsOfTiles(const float* c, int64_t tiles, float* out, int64_t ldo);

}  // namespace binocle
