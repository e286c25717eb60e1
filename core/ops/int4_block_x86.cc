#include <cstring>

#include "core/ops/int4_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// Factors of columns [16·v, 16·v + 16), one per 32-bit lane.
BINOCLE_VNNI inline __m512i Factors(const uint8_t* m, int v) {
  const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(m + v % 2 * 16));
  const __m512i wide = _mm512_cvtepu8_epi32(both);
  return v < 2 ? _mm512_and_si512(wide, _mm512_set1_epi32(15)) : _mm512_srli_epi32(wide, 4);
}

// Into the second-level cache: into the first it was a tenth slower, of one row and of four.
constexpr int64_t kInt4ReadAhead = 8 * kInt4WeightBytes;

// A group's sums are of q, which is unsigned, and x, signed: they begin at −8·Σx, since a weight is q − 8.
template <int R>
BINOCLE_VNNI inline void Int4Rows(const Int4Block& b, int64_t row) {
  const int8_t* x = b.x + row * b.ldx;
  const int64_t sums_stride = b.ldx / kInt4Group;
  const int32_t* x_sums = b.x_sums + row * sums_stride;
  const __m512i low_bits = _mm512_set1_epi8(15);
  __m512i acc[R][4];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) acc[r][v] = _mm512_loadu_si512(b.start + v * 16);
  }
  const uint8_t* m = b.w;
  const uint8_t* w = b.w + b.depth / kInt4Group * kInt4FactorBytes;
  for (int64_t k = 0; k < b.depth; k += kInt4Group, m += kInt4FactorBytes, w += kInt4WeightBytes) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      __m512i group[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
        group[r] = _mm512_set1_epi32(-8 * x_sums[r * sums_stride + k / kInt4Group]);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const uint8_t* from = w + j * 256 + v * 64;
        _mm_prefetch(reinterpret_cast<const char*>(from + kInt4ReadAhead), _MM_HINT_T1);
        const __m512i q = _mm512_loadu_si512(from);
        const __m512i low = _mm512_and_si512(q, low_bits);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(q, 4), low_bits);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          int32_t first, second;
          std::memcpy(&first, x + r * b.ldx + k + 4 * j, sizeof first);
          std::memcpy(&second, x + r * b.ldx + k + 16 + 4 * j, sizeof second);
          group[r] = _mm512_dpbusd_epi32(group[r], low, _mm512_set1_epi32(first));
          group[r] = _mm512_dpbusd_epi32(group[r], high, _mm512_set1_epi32(second));
        }
      }
      const __m512i factors = Factors(m, v);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
        acc[r][v] = _mm512_add_epi32(acc[r][v], _mm512_mullo_epi32(group[r], factors));
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) _mm512_storeu_si512(b.c + (row + r) * 64 + v * 16, acc[r][v]);
  }
}

// (q − 8)·m for bytes: q·m ≤ 225 fits one, so even and odd bytes are multiplied as 16-bit numbers. `factors` in both halves of each lane.
BINOCLE_AVX512 inline __m512i Times512(__m512i q, __m512i factors) {
  const __m512i even_bytes = _mm512_set1_epi16(0xFF);
  const __m512i even = _mm512_mullo_epi16(_mm512_and_si512(q, even_bytes), factors);
  const __m512i odd = _mm512_mullo_epi16(_mm512_srli_epi16(q, 8), factors);
  const __m512i eight = _mm512_slli_epi16(factors, 3);
  const __m512i offset = _mm512_or_si512(eight, _mm512_slli_epi16(eight, 8));
  return _mm512_sub_epi8(_mm512_or_si512(even, _mm512_slli_epi16(odd, 8)), offset);
}

BINOCLE_AVX2 inline __m256i Times256(__m256i q, __m256i factors) {
  const __m256i even_bytes = _mm256_set1_epi16(0xFF);
  const __m256i even = _mm256_mullo_epi16(_mm256_and_si256(q, even_bytes), factors);
  const __m256i odd = _mm256_mullo_epi16(_mm256_srli_epi16(q, 8), factors);
  const __m256i eight = _mm256_slli_epi16(factors, 3);
  const __m256i offset = _mm256_or_si256(eight, _mm256_slli_epi16(eight, 8));
  return _mm256_sub_epi8(_mm256_or_si256(even, _mm256_slli_epi16(odd, 8)), offset);
}

}  // namespace

BINOCLE_VNNI void Int4BlockVnni(const Int4Block& b) {
  int64_t row = 0;
  for (; row + 4 <= b.rows; row += 4) Int4Rows<4>(b, row);
  switch (b.rows - row) {
    case 1: return Int4Rows<1>(b, row);
    case 2: return Int4Rows<2>(b, row);
    case 3: return Int4Rows<3>(b, row);
    default: return;
  }
}

BINOCLE_AVX512 void ExpandInt4Avx512(const Int4Slice& slice, int64_t depth, int8_t* out) {
  const __m512i low_bits = _mm512_set1_epi8(15);
  const uint8_t* m = slice.factors;
  const uint8_t* w = slice.weights;
  for (int64_t k = 0; k < depth;
       k += kInt4Group, m += kInt4FactorBytes, w += kInt4WeightBytes, out += kInt4Group * 64) {
    for (int v = 0; v < 4; ++v) {
      const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(m + v % 2 * 16));
      const __m512i wide = _mm512_cvtepu8_epi32(both);
      const __m512i lanes =
          v < 2 ? _mm512_and_si512(wide, _mm512_set1_epi32(15)) : _mm512_srli_epi32(wide, 4);
      const __m512i factors = _mm512_or_si512(lanes, _mm512_slli_epi32(lanes, 16));
      for (int j = 0; j < 4; ++j) {
        const __m512i q = _mm512_loadu_si512(w + j * 256 + v * 64);
        _mm512_storeu_si512(out + j * 256 + v * 64,
                            Times512(_mm512_and_si512(q, low_bits), factors));
        _mm512_storeu_si512(out + (j + 4) * 256 + v * 64,
                            Times512(_mm512_and_si512(_mm512_srli_epi16(q, 4), low_bits), factors));
      }
    }
  }
}

BINOCLE_AVX2 void ExpandInt4Avx2(const Int4Slice& slice, int64_t depth, int8_t* out) {
  const __m256i low_bits = _mm256_set1_epi8(15);
  const uint8_t* m = slice.factors;
  const uint8_t* w = slice.weights;
  for (int64_t k = 0; k < depth;
       k += kInt4Group, m += kInt4FactorBytes, w += kInt4WeightBytes, out += kInt4Group * 64) {
    for (int v = 0; v < 8; ++v) {
      const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(m + v % 4 * 8));
      const __m256i wide = _mm256_cvtepu8_epi32(both);
      const __m256i lanes =
          v < 4 ? _mm256_and_si256(wide, _mm256_set1_epi32(15)) : _mm256_srli_epi32(wide, 4);
      const __m256i factors = _mm256_or_si256(lanes, _mm256_slli_epi32(lanes, 16));
      for (int j = 0; j < 4; ++j) {
        const __m256i q =
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + j * 256 + v * 32));
        auto* to = reinterpret_cast<__m256i*>(out + j * 256 + v * 32);
        auto* to_high = reinterpret_cast<__m256i*>(out + (j + 4) * 256 + v * 32);
        _mm256_storeu_si256(to, Times256(_mm256_and_si256(q, low_bits), factors));
        _mm256_storeu_si256(to_high,
                            Times256(_mm256_and_si256(_mm256_srli_epi16(q, 4), low_bits), factors));
      }
    }
  }
}

}  // namespace binocle

#endif
