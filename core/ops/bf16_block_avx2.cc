#include "core/ops/bf16_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// 16 columns of R rows; pairs are taken apart, since every bfloat16 is the upper half of an f32.
template <int R>
BINOCLE_AVX2 inline void Avx2Bf16Rows(const Bf16Block& b, int64_t row, int64_t column) {
  const Bf16* x = b.x + row * b.ldx;
  float* c = b.c + row * b.ldc + column;
  __m256 acc[R][2];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      acc[r][v] = b.add ? _mm256_loadu_ps(c + r * b.ldc + v * 8) : _mm256_setzero_ps();
  }
  const Bf16* w = b.w + column * 2;
  for (int64_t k = 0; k < b.depth; k += 2, w += 128) {
    __m256 low[2], high[2];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 16 * v));
      low[v] = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
      high[v] = _mm256_castsi256_ps(
          _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const __m256 x0 = _mm256_set1_ps(F32FromBf16(x[r * b.ldx + k].bits));
      const __m256 x1 = _mm256_set1_ps(F32FromBf16(x[r * b.ldx + k + 1].bits));
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        acc[r][v] = _mm256_fmadd_ps(x0, low[v], acc[r][v]);
        acc[r][v] = _mm256_fmadd_ps(x1, high[v], acc[r][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) _mm256_storeu_ps(c + r * b.ldc + v * 8, acc[r][v]);
  }
}

}  // namespace

BINOCLE_AVX2 void Bf16BlockAvx2(const Bf16Block& b) {
  for (int64_t column = 0; column < 64; column += 16) {
    int64_t row = 0;
    for (; row + 4 <= b.rows; row += 4) Avx2Bf16Rows<4>(b, row, column);
    for (; row < b.rows; ++row) Avx2Bf16Rows<1>(b, row, column);
  }
}

}  // namespace binocle

#endif
