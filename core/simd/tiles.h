// AMX's tiles as the block products use them: 16 rows of 64 bytes. Tiles 0 to 3 are sums; 4 and 5 hold rows of x; 6 and 7, or 5 to 7, columns of w.
#pragma once

#include "core/simd/x86.h"

#if defined(__x86_64__)

#include <cstdint>

namespace binocle {

// What a thread's tiles are. Between KeepTiles and LeaveTiles they stay configured from one TileShapes to the next, which costs nothing where both
// have the same rows; else it is a hundred cycles, as much as a small product.
struct TilesOfThread {
  int keepers = 0;
  int64_t first = 0, second = 0;  // rows that are configured; 0: nothing is
};
TilesOfThread& ThisThreadsTiles();
void KeepTiles();
void LeaveTiles();

// Names a thread's tile shapes from here to its end. Two shapes of row tiles: `first` rows in tiles 0, 1 and 4, `second` in 2, 3 and 5 (of one
// row tile, all four sums have `first` rows).
class TileShapes {
 public:
  BINOCLE_AMX explicit TileShapes(int64_t first, int64_t second) {
    TilesOfThread& now = ThisThreadsTiles();
    if (now.first == first && now.second == second) return;
    now.first = first;
    now.second = second;
    struct alignas(64) Configuration {
      uint8_t palette = 1;
      uint8_t start_row = 0;
      uint8_t reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } shapes;
    const bool two = second > 0;
    const int64_t rows[8] = {
        first, first, two ? second : first, two ? second : first, first, two ? second : 16, 16, 16};
    for (int t = 0; t < 8; ++t) {
      shapes.row_bytes[t] = 64;
      shapes.rows[t] = static_cast<uint8_t>(rows[t]);
    }
    // The intrinsic tells GCC 12 of eight bytes that are read, not of 64.
    __asm__ volatile("" : : "r"(&shapes) : "memory");
    _tile_loadconfig(&shapes);
  }
  BINOCLE_AMX ~TileShapes() {
    TilesOfThread& now = ThisThreadsTiles();
    if (now.keepers > 0) return;
    now.first = 0;
    _tile_release();
  }
  TileShapes(const TileShapes&) = delete;
  TileShapes& operator=(const TileShapes&) = delete;
};

}  // namespace binocle

#endif
