#include "core/ops/bf16_block.h"

#include <cmath>

#include "core/simd/tiles.h"

namespace binocle {

void Bf16BlockScalar(const Bf16Block& b) {
  for (int64_t r = 0; r < b.rows; ++r) {
    float* c = b.c + r * b.ldc;
    for (int64_t n = 0; n < 64; ++n) {
      float sum = b.add ? c[n] : 0.0F;
      for (int64_t k = 0; k < b.depth; ++k)
        sum = std::fma(F32FromBf16(b.x[r * b.ldx + k].bits),
                       F32FromBf16(b.w[k / 2 * 128 + n * 2 + k % 2].bits), sum);
      c[n] = sum;
    }
  }
}

#if defined(__x86_64__)
Bf16Products::Bf16Products(CpuLevel level) : keeps_tiles_(level >= CpuLevel::kAmx) {
  if (keeps_tiles_) KeepTiles();
}
Bf16Products::~Bf16Products() {
  if (keeps_tiles_) LeaveTiles();
}
#else
Bf16Products::Bf16Products(CpuLevel /*level*/) : keeps_tiles_(false) {}
Bf16Products::~Bf16Products() = default;
#endif

void MultiplyBf16Block(CpuLevel level, const Bf16Block& block) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAmx) return Bf16BlockAmx(block);
  if (level >= CpuLevel::kBf16) return Bf16BlockNative(block);
  if (level >= CpuLevel::kAvx512) return Bf16BlockAvx512(block);
  if (level >= CpuLevel::kAvx2) return Bf16BlockAvx2(block);
#endif
  Bf16BlockScalar(block);
}

}  // namespace binocle
