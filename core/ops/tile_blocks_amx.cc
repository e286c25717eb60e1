// The block products of bytes and of bfloat16 by AMX. Both have the same shape in bytes: 64 bytes of k, times 16 columns, are a tile.
#include <algorithm>

#include "core/ops/bf16_block.h"
#include "core/ops/int8_block.h"
#include "core/simd/tiles.h"

#if defined(__x86_64__)

namespace binocle {

TilesOfThread& ThisThreadsTiles() {
  thread_local TilesOfThread tiles;
  return tiles;
}

void KeepTiles() { ++ThisThreadsTiles().keepers; }

BINOCLE_AMX void LeaveTiles() {
  TilesOfThread& now = ThisThreadsTiles();
  if (--now.keepers > 0 || now.first == 0) return;
  now.first = 0;
  _tile_release();
}

namespace {

enum class TileKind { kInt8, kBf16 };

// k that all rows pass before the next: 64 KiB of w, which stay in the second-level cache's fast part together with the rows' share of x. One
// pass over 2,048 bytes was a seventh slower.
constexpr int64_t kBytesAtOnce = 512;

struct TileBlock {
  const char* x;  // [rows][bytes], x_stride apart
  int64_t x_stride;
  const char* w;  // [bytes / 4][64][4]
  char* c;        // [rows][64] of four bytes, c_stride apart
  int64_t c_stride;
  int64_t bytes;  // a multiple of 64
  bool add;
  bool from_memory;
};

constexpr int64_t kPanelStride = 64 * 4;

// (16 and 16, or fewer) rows × 32 columns.
template <TileKind kKind>
BINOCLE_AMX inline void TwoByTwo(const TileBlock& b, int64_t column) {
  char* c = b.c + column * 4;
  char* lower = c + 16 * b.c_stride;
  const char* w = b.w + column * 4;
  const char* x2 = b.x + 16 * b.x_stride;
  if (b.add) {
    _tile_loadd(0, c, b.c_stride);
    _tile_loadd(1, c + 64, b.c_stride);
    _tile_loadd(2, lower, b.c_stride);
    _tile_loadd(3, lower + 64, b.c_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < b.bytes; k += 64) {
    _tile_loadd(4, b.x + k, b.x_stride);
    _tile_loadd(6, w + k * 64, kPanelStride);
    _tile_loadd(7, w + k * 64 + 64, kPanelStride);
    _tile_loadd(5, x2 + k, b.x_stride);
    if constexpr (kKind == TileKind::kInt8) {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, b.c_stride);
  _tile_stored(1, c + 64, b.c_stride);
  _tile_stored(2, lower, b.c_stride);
  _tile_stored(3, lower + 64, b.c_stride);
}

// Up to 16 rows × 64 columns: w is read in the order of memory, which counts where memory is what bounds.
template <TileKind kKind>
BINOCLE_AMX inline void OneByFour(const TileBlock& b) {
  if (b.add) {
    _tile_loadd(0, b.c, b.c_stride);
    _tile_loadd(1, b.c + 64, b.c_stride);
    _tile_loadd(2, b.c + 128, b.c_stride);
    _tile_loadd(3, b.c + 192, b.c_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < b.bytes; k += 64) {
    const char* w = b.w + k * 64;
    _tile_loadd(4, b.x + k, b.x_stride);
    _tile_loadd(5, w, kPanelStride);
    _tile_loadd(6, w + 64, kPanelStride);
    if constexpr (kKind == TileKind::kInt8) {
      _tile_dpbusd(0, 4, 5);
      _tile_loadd(7, w + 128, kPanelStride);
      _tile_dpbusd(1, 4, 6);
      _tile_loadd(5, w + 192, kPanelStride);
      _tile_dpbusd(2, 4, 7);
      _tile_dpbusd(3, 4, 5);
    } else {
      _tile_dpbf16ps(0, 4, 5);
      _tile_loadd(7, w + 128, kPanelStride);
      _tile_dpbf16ps(1, 4, 6);
      _tile_loadd(5, w + 192, kPanelStride);
      _tile_dpbf16ps(2, 4, 7);
      _tile_dpbf16ps(3, 4, 5);
    }
  }
  _tile_stored(0, b.c, b.c_stride);
  _tile_stored(1, b.c + 64, b.c_stride);
  _tile_stored(2, b.c + 128, b.c_stride);
  _tile_stored(3, b.c + 192, b.c_stride);
}

// Rows [begin, end) in pairs of row tiles, or one. Pairs load least; but where w comes from memory, 64 to 128 rows were done a tenth to a quarter sooner
// by tiles of rows that each read w in its order.
template <TileKind kKind>
BINOCLE_AMX inline void RowTiles(const TileBlock& whole, int64_t begin, int64_t end) {
  const int64_t step = end - begin > 16 && !whole.from_memory ? 32 : 16;
  const int64_t first = std::min<int64_t>(16, end - begin);
  const TileShapes shapes(first, step == 32 ? std::min<int64_t>(16, end - begin - 16) : 0);
  for (int64_t k = 0; k < whole.bytes; k += kBytesAtOnce) {
    for (int64_t row = begin; row < end; row += step) {
      const TileBlock b{.x = whole.x + row * whole.x_stride + k,
                        .x_stride = whole.x_stride,
                        .w = whole.w + k * 64,
                        .c = whole.c + row * whole.c_stride,
                        .c_stride = whole.c_stride,
                        .bytes = std::min(kBytesAtOnce, whole.bytes - k),
                        .add = whole.add || k > 0,
                        .from_memory = whole.from_memory};
      if (step == 16) {
        OneByFour<kKind>(b);
      } else {
        TwoByTwo<kKind>(b, 0);
        TwoByTwo<kKind>(b, 32);
      }
    }
  }
}

template <TileKind kKind>
BINOCLE_AMX inline void Tiles(const TileBlock& b, int64_t rows) {
  const int64_t tile = b.from_memory ? 16 : 32;
  const int64_t whole = rows / tile * tile;
  if (whole > 0) RowTiles<kKind>(b, 0, whole);
  if (whole < rows) RowTiles<kKind>(b, whole, rows);
}

}  // namespace

BINOCLE_AMX void Int8BlockAmx(const Int8Block& b) {
  Tiles<TileKind::kInt8>({.x = reinterpret_cast<const char*>(b.x),
                          .x_stride = b.ldx,
                          .w = reinterpret_cast<const char*>(b.w),
                          .c = reinterpret_cast<char*>(b.c),
                          .c_stride = 64 * 4,
                          .bytes = b.depth,
                          .add = b.add,
                          .from_memory = b.from_memory},
                         b.rows);
}

BINOCLE_AMX void Bf16BlockAmx(const Bf16Block& b) {
  Tiles<TileKind::kBf16>({.x = reinterpret_cast<const char*>(b.x),
                          .x_stride = b.ldx * 2,
                          .w = reinterpret_cast<const char*>(b.w),
                          .c = reinterpret_cast<char*>(b.c),
                          .c_stride = b.ldc * 4,
                          .bytes = b.depth * 2,
                          .add = b.add,
                          .from_memory = b.from_memory},
                         b.rows);
}

}  // namespace binocle

#endif
