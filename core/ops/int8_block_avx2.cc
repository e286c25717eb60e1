// Without an instruction for bytes both sides are widened to 16 bits, whose products of pairs are exact (those of 8 bits saturate at 255·127·2).
// Bytes widen where they lie: of four k the first and third are the lower halves of 16 bits, the second and fourth the upper ones.
#include <algorithm>
#include <cstring>

#include "core/ops/int8_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// Four k of eight columns, or of a row, eight times.
struct Widened {
  __m256i even, odd;
};
BINOCLE_AVX2 inline Widened WidenSigned(__m256i bytes) {
  return {.even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8),
          .odd = _mm256_srai_epi16(bytes, 8)};
}
BINOCLE_AVX2 inline Widened WidenUnsigned(__m256i bytes) {
  return {.even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xFF)),
          .odd = _mm256_srli_epi16(bytes, 8)};
}
BINOCLE_AVX2 inline __m256i AddProducts(__m256i sum, __m256i x, __m256i w) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}
BINOCLE_AVX2 inline __m256i FourRepeated(const void* four_bytes) {
  int32_t four;
  std::memcpy(&four, four_bytes, sizeof four);
  return _mm256_set1_epi32(four);
}
BINOCLE_AVX2 inline __m256i LoadBytes(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// Bytes. With 1 to 4 KiB a Zen 3 reads at the machine's rate, without at 75 %.
constexpr int64_t kOneRowAhead = 4096;

// What an inner loop takes of x: even and odd k of each four. Six rows of two vectors' columns are what sixteen registers hold.
constexpr int kMostRows = 6;
constexpr int64_t kMostDepth = 512;
struct WideRows {
  int64_t rows, depth;
  alignas(32) int32_t x[kMostRows][2][kMostDepth / 4];
};

// As many as `out` is to have, from row and k on.
BINOCLE_AVX2 void WidenRows(const Int8Block& b, int64_t row, int64_t k, WideRows& out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    const uint8_t* x = b.x + (row + r) * b.ldx + k;
    for (int64_t i = 0; i < out.depth; i += 32) {
      const Widened wide = WidenUnsigned(LoadBytes(x + i));
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.x[r][0] + i / 4), wide.even);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.x[r][1] + i / 4), wide.odd);
    }
  }
}

// Weights as they come: what one row takes is read while it is multiplied.
BINOCLE_AVX2 void OneByteRow(const Int8Block& b) {
  WideRows x;
  __m256i acc[8];
#pragma GCC unroll 8
  for (int v = 0; v < 8; ++v) acc[v] = b.add ? LoadBytes(b.c + v * 8) : _mm256_setzero_si256();
  const int8_t* w = b.w;
  for (int64_t k = 0; k < b.depth; k += kMostDepth) {
    x.rows = 1;
    x.depth = std::min(kMostDepth, b.depth - k);
    WidenRows(b, 0, k, x);
    for (int64_t quad = 0; quad < x.depth / 4; ++quad, w += 256) {
      if (b.from_memory) PrefetchLines(w + kOneRowAhead, 4);
      const __m256i even = FourRepeated(&x.x[0][0][quad]), odd = FourRepeated(&x.x[0][1][quad]);
#pragma GCC unroll 8
      for (int v = 0; v < 8; ++v) {
        const Widened wk = WidenSigned(LoadBytes(w + v * 32));
        acc[v] = AddProducts(AddProducts(acc[v], even, wk.even), odd, wk.odd);
      }
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < 8; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(b.c + v * 8), acc[v]);
}

// For more rows a slab of weights is widened once, and stays in the first cache. While it is multiplied the next one is asked for.
constexpr int64_t kInt8Slab = 128;  // of k
struct Int8Slab {
  alignas(32) int16_t w[2][kInt8Slab / 4][64][2];  // even and odd k of each four
  WideRows x;
};

BINOCLE_AVX2 void WidenWeights(const int8_t* w, Int8Slab& slab) {
  for (int64_t quad = 0; quad < slab.x.depth / 4; ++quad) {
#pragma GCC unroll 8
    for (int64_t n = 0; n < 64; n += 8) {
      const Widened wide = WidenSigned(LoadBytes(w + quad * 256 + n * 4));
      _mm256_store_si256(reinterpret_cast<__m256i*>(slab.w[0][quad][n]), wide.even);
      _mm256_store_si256(reinterpret_cast<__m256i*>(slab.w[1][quad][n]), wide.odd);
    }
  }
}

// 16 columns of R rows of a slab.
template <int R>
BINOCLE_AVX2 inline void Int8SlabRows(const Int8Slab& slab, int64_t column, bool add, int32_t* c) {
  __m256i acc[R][2];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      acc[r][v] = add ? LoadBytes(c + r * 64 + v * 8) : _mm256_setzero_si256();
  }
  // One after the other: added up before they reach the sums, products of both would take the registers of these.
#pragma GCC unroll 1
  for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 1
    for (int64_t quad = 0; quad < slab.x.depth / 4; ++quad) {
      const __m256i w0 = LoadBytes(slab.w[half][quad][column]);
      const __m256i w1 = LoadBytes(slab.w[half][quad][column + 8]);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const __m256i xk = FourRepeated(&slab.x.x[r][half][quad]);
        acc[r][0] = AddProducts(acc[r][0], xk, w0);
        acc[r][1] = AddProducts(acc[r][1], xk, w1);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + r * 64 + v * 8), acc[r][v]);
  }
}

template <int R>
BINOCLE_AVX2 void Int8SlabBlock(const Int8Block& b, int64_t row, int64_t k, Int8Slab& slab) {
  slab.x.rows = R;
  WidenRows(b, row, k, slab.x);
  const int8_t* next = b.w + (k + kInt8Slab) * 64;
  for (int64_t column = 0; column < 64; column += 16) {
    if (b.from_memory && row == 0) PrefetchLines(next + column * kInt8Slab, kInt8Slab / 4);
    Int8SlabRows<R>(slab, column, b.add || k > 0, b.c + row * 64 + column);
  }
}

BINOCLE_AVX2 void ManyByteRows(const Int8Block& b) {
  Int8Slab slab;
  for (int64_t k = 0; k < b.depth; k += kInt8Slab) {
    slab.x.depth = std::min(kInt8Slab, b.depth - k);
    WidenWeights(b.w + k * 64, slab);
    int64_t row = 0;
    for (; row + kMostRows <= b.rows; row += kMostRows) Int8SlabBlock<kMostRows>(b, row, k, slab);
    switch (b.rows - row) {
      case 1: Int8SlabBlock<1>(b, row, k, slab); break;
      case 2: Int8SlabBlock<2>(b, row, k, slab); break;
      case 3: Int8SlabBlock<3>(b, row, k, slab); break;
      case 4: Int8SlabBlock<4>(b, row, k, slab); break;
      case 5: Int8SlabBlock<5>(b, row, k, slab); break;
      default: break;
    }
  }
}

}  // namespace

BINOCLE_AVX2 void Int8BlockAvx2(const Int8Block& b) {
  b.rows == 1 ? OneByteRow(b) : ManyByteRows(b);
}

}  // namespace binocle

#endif
