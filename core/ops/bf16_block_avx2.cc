// Every bfloat16 is the upper half of an f32: pairs are taken apart, and what is multiplied are f32.
#include <algorithm>

#include "core/ops/bf16_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// Two k of eight columns, or of a row, eight times.
struct F32Pair {
  __m256 first, second;
};
BINOCLE_AVX2 inline F32Pair PairApart(__m256i pairs) {
  return {.first = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
          .second = _mm256_castsi256_ps(
              _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))))};
}
BINOCLE_AVX2 inline __m256i LoadPairs(const Bf16* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

constexpr int64_t kOneBf16RowAhead = 2048;  // elements: as far as int8_block_avx2.cc

// What an inner loop takes of x, as f32. Six rows of two vectors' columns are what sixteen registers hold.
constexpr int kMostBf16Rows = 6;
constexpr int64_t kMostBf16Depth = 256;
struct WideBf16Rows {
  int64_t rows, depth;
  alignas(32) float x[kMostBf16Rows][kMostBf16Depth];
};

// As many as `out` is to have, from row and k on.
BINOCLE_AVX2 void WidenBf16Rows(const Bf16Block& b, int64_t row, int64_t k, WideBf16Rows& out) {
  for (int64_t r = 0; r < out.rows; ++r) {
    const Bf16* x = b.x + (row + r) * b.ldx + k;
    for (int64_t i = 0; i < out.depth; i += 8) {
      const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
      const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(eight), 16);
      _mm256_store_ps(out.x[r] + i, _mm256_castsi256_ps(wide));
    }
  }
}

// Weights as they come: what one row takes is read while it is multiplied.
BINOCLE_AVX2 void OneBf16Row(const Bf16Block& b) {
  WideBf16Rows x;
  __m256 acc[8];
#pragma GCC unroll 8
  for (int v = 0; v < 8; ++v) acc[v] = b.add ? _mm256_loadu_ps(b.c + v * 8) : _mm256_setzero_ps();
  const Bf16* w = b.w;
  for (int64_t k = 0; k < b.depth; k += kMostBf16Depth) {
    x.rows = 1;
    x.depth = std::min(kMostBf16Depth, b.depth - k);
    WidenBf16Rows(b, 0, k, x);
    for (int64_t i = 0; i < x.depth; i += 2, w += 128) {
      if (b.from_memory) PrefetchLines(w + kOneBf16RowAhead, 4);
      const __m256 first = _mm256_broadcast_ss(x.x[0] + i);
      const __m256 second = _mm256_broadcast_ss(x.x[0] + i + 1);
#pragma GCC unroll 8
      for (int v = 0; v < 8; ++v) {
        const F32Pair wk = PairApart(LoadPairs(w + v * 16));
        acc[v] = _mm256_fmadd_ps(second, wk.second, _mm256_fmadd_ps(first, wk.first, acc[v]));
      }
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < 8; ++v) _mm256_storeu_ps(b.c + v * 8, acc[v]);
}

// For more rows a slab of weights is taken apart once, and stays in the first cache. While it is multiplied the next one is asked for.
constexpr int64_t kBf16Slab = 64;  // of k
struct Bf16Slab {
  alignas(32) float w[kBf16Slab][64];
  WideBf16Rows x;
};

BINOCLE_AVX2 void TakeWeightsApart(const Bf16* w, Bf16Slab& slab) {
  for (int64_t k = 0; k < slab.x.depth; k += 2) {
#pragma GCC unroll 8
    for (int64_t n = 0; n < 64; n += 8) {
      const F32Pair pair = PairApart(LoadPairs(w + k * 64 + n * 2));
      _mm256_store_ps(slab.w[k] + n, pair.first);
      _mm256_store_ps(slab.w[k + 1] + n, pair.second);
    }
  }
}

// 16 columns of R rows of a slab.
template <int R>
BINOCLE_AVX2 inline void Bf16SlabRows(const Bf16Slab& slab, int64_t column, bool add, float* c,
                                      int64_t ldc) {
  __m256 acc[R][2];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      acc[r][v] = add ? _mm256_loadu_ps(c + r * ldc + v * 8) : _mm256_setzero_ps();
  }
#pragma GCC unroll 2
  for (int64_t k = 0; k < slab.x.depth; ++k) {
    const __m256 w0 = _mm256_load_ps(slab.w[k] + column);
    const __m256 w1 = _mm256_load_ps(slab.w[k] + column + 8);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m256 xk = _mm256_broadcast_ss(slab.x.x[r] + k);
      acc[r][0] = _mm256_fmadd_ps(xk, w0, acc[r][0]);
      acc[r][1] = _mm256_fmadd_ps(xk, w1, acc[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) _mm256_storeu_ps(c + r * ldc + v * 8, acc[r][v]);
  }
}

template <int R>
BINOCLE_AVX2 void Bf16SlabBlock(const Bf16Block& b, int64_t row, int64_t k, Bf16Slab& slab) {
  slab.x.rows = R;
  WidenBf16Rows(b, row, k, slab.x);
  const Bf16* next = b.w + (k + kBf16Slab) * 64;
  for (int64_t column = 0; column < 64; column += 16) {
    if (b.from_memory && row == 0) PrefetchLines(next + column * kBf16Slab, kBf16Slab / 2);
    Bf16SlabRows<R>(slab, column, b.add || k > 0, b.c + row * b.ldc + column, b.ldc);
  }
}

BINOCLE_AVX2 void ManyBf16Rows(const Bf16Block& b) {
  Bf16Slab slab;
  for (int64_t k = 0; k < b.depth; k += kBf16Slab) {
    slab.x.depth = std::min(kBf16Slab, b.depth - k);
    TakeWeightsApart(b.w + k * 64, slab);
    int64_t row = 0;
    for (; row + kMostBf16Rows <= b.rows; row += kMostBf16Rows)
      Bf16SlabBlock<kMostBf16Rows>(b, row, k, slab);
    switch (b.rows - row) {
      case 1: Bf16SlabBlock<1>(b, row, k, slab); break;
      case 2: Bf16SlabBlock<2>(b, row, k, slab); break;
      case 3: Bf16SlabBlock<3>(b, row, k, slab); break;
      case 4: Bf16SlabBlock<4>(b, row, k, slab); break;
      case 5: Bf16SlabBlock<5>(b, row, k, slab); break;
      default: break;
    }
  }
}

}  // namespace

BINOCLE_AVX2 void Bf16BlockAvx2(const Bf16Block& b) {
  b.rows == 1 ? OneBf16Row(b) : ManyBf16Rows(b);
}

}  // namespace binocle

#endif
