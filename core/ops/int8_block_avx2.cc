// Without an instruction for bytes: both sides are widened to 16 bits, whose products of pairs are exact (the shorter way by 8-bit products
// saturates at 255·127·2).
#include <cstring>

#include "core/ops/int8_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// 16 columns of R rows. An accumulator holds, for four columns, the sums of k % 4 < 2 and of the others side by side.
template <int R>
BINOCLE_AVX2 inline void Avx2Rows(const Int8Block& b, int64_t row, int64_t column) {
  const uint8_t* x = b.x + row * b.ldx;
  __m256i acc[R][4];
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) acc[r][v] = _mm256_setzero_si256();
  }
  const int8_t* w = b.w + column * 4;
  for (int64_t k = 0; k < b.depth; k += 4, w += 256) {
    __m256i xk[R];
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * b.ldx + k, sizeof four);
      xk[r] = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m256i wk =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16 * v)));
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r)
        acc[r][v] = _mm256_add_epi32(acc[r][v], _mm256_madd_epi16(xk[r], wk));
    }
  }
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
    auto* c = reinterpret_cast<__m256i*>(b.c + (row + r) * 64 + column);
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      // hadd leaves columns 0 1 4 5 | 2 3 6 7 of the two vectors of four.
      const __m256i pairs = _mm256_hadd_epi32(acc[r][2 * v], acc[r][2 * v + 1]);
      __m256i sum = _mm256_permute4x64_epi64(pairs, 0xD8);
      if (b.add) sum = _mm256_add_epi32(sum, _mm256_loadu_si256(c + v));
      _mm256_storeu_si256(c + v, sum);
    }
  }
}

}  // namespace

BINOCLE_AVX2 void Int8BlockAvx2(const Int8Block& b) {
  for (int64_t column = 0; column < 64; column += 16) {
    int64_t row = 0;
    for (; row + 2 <= b.rows; row += 2) Avx2Rows<2>(b, row, column);
    if (row < b.rows) Avx2Rows<1>(b, row, column);
  }
}

}  // namespace binocle

#endif
