#include "core/ops/int4_block.h"

#include "core/error.h"

namespace binocle {

bool MultipliesInt4Directly(CpuLevel level) {
#if defined(__x86_64__)
  return level >= CpuLevel::kAvx2;
#else
  static_cast<void>(level);
  return false;
#endif
}

void MultiplyInt4Block(CpuLevel level, const Int4Block& block) {
  BINOCLE_CHECK(MultipliesInt4Directly(level), CpuLevelName(level));
#if defined(__x86_64__)
  if (level >= CpuLevel::kVnni) return Int4BlockVnni(block);
  Int4BlockAvx2(block);
#else
  static_cast<void>(block);
#endif
}

void ExpandInt4(CpuLevel level, const Int4Slice& slice, int64_t depth, int8_t* out) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512) return ExpandInt4Avx512(slice, depth, out);
  if (level >= CpuLevel::kAvx2) return ExpandInt4Avx2(slice, depth, out);
#endif
  ExpandInt4Scalar(slice, depth, out);
}

void ExpandInt4Scalar(const Int4Slice& slice, int64_t depth, int8_t* out) {
  const uint8_t* m = slice.factors;
  const uint8_t* w = slice.weights;
  for (int64_t k = 0; k < depth;
       k += kInt4Group, m += kInt4FactorBytes, w += kInt4WeightBytes, out += kInt4Group * 64) {
    for (int64_t n = 0; n < 64; ++n) {
      const int factor = n < 32 ? m[n] & 15 : m[n - 32] >> 4;
      for (int64_t j = 0; j < 4; ++j) {
        for (int64_t i = 0; i < 4; ++i) {
          const int q = w[j * 256 + n * 4 + i];
          out[j * 256 + n * 4 + i] = static_cast<int8_t>(((q & 15) - 8) * factor);
          out[(j + 4) * 256 + n * 4 + i] = static_cast<int8_t>(((q >> 4) - 8) * factor);
        }
      }
    }
  }
}

}  // namespace binocle
