#include "core/ops/int8_block.h"

namespace binocle {

void Int8BlockScalar(const Int8Block& b) {
  for (int64_t r = 0; r < b.rows; ++r) {
    int32_t* c = b.c + r * 64;
    for (int64_t n = 0; n < 64; ++n) {
      int32_t sum = b.add ? c[n] : 0;
      for (int64_t k = 0; k < b.depth; ++k)
        sum += static_cast<int32_t>(b.x[r * b.ldx + k]) * b.w[k / 4 * 256 + n * 4 + k % 4];
      c[n] = sum;
    }
  }
}

void MultiplyInt8Block(CpuLevel level, const Int8Block& block) {
#if defined(__x86_64__)
  // Tiles take the time of 16 rows however few there are.
  constexpr int64_t kRowsForTiles = 5;
  if (level >= CpuLevel::kAmx && block.rows >= kRowsForTiles) return Int8BlockAmx(block);
  if (level >= CpuLevel::kVnni) return Int8BlockVnni(block);
  if (level >= CpuLevel::kAvx2) return Int8BlockAvx2(block);
#endif
  Int8BlockScalar(block);
}

}  // namespace binocle
