#include <cstring>

#include "core/ops/bf16_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// R × 4 accumulators; per pair of k that is 4 vectors of w and a broadcast for each row.
constexpr int64_t kBf16Rows = 6;

BINOCLE_AVX512 inline __m512 LowHalves(__m512i pairs) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}
BINOCLE_AVX512 inline __m512 HighHalves(__m512i pairs) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))));
}

// Pairs are taken apart: every bfloat16 is the upper half of an f32.
template <int R>
BINOCLE_AVX512 inline void WidenedRows(const Bf16Block& b, int64_t row) {
  const Bf16* x = b.x + row * b.ldx;
  float* c = b.c + row * b.ldc;
  __m512 acc[R][4];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v)
      acc[r][v] = b.add ? _mm512_loadu_ps(c + r * b.ldc + v * 16) : _mm512_setzero_ps();
  }
  const Bf16* w = b.w;
  for (int64_t k = 0; k < b.depth; k += 2, w += 128) {
    __m512 low[4], high[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i pairs = _mm512_loadu_si512(w + 32 * v);
      low[v] = LowHalves(pairs);
      high[v] = HighHalves(pairs);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512 x0 = _mm512_set1_ps(F32FromBf16(x[r * b.ldx + k].bits));
      const __m512 x1 = _mm512_set1_ps(F32FromBf16(x[r * b.ldx + k + 1].bits));
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        acc[r][v] = _mm512_fmadd_ps(x0, low[v], acc[r][v]);
        acc[r][v] = _mm512_fmadd_ps(x1, high[v], acc[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) _mm512_storeu_ps(c + r * b.ldc + v * 16, acc[r][v]);
  }
}

template <int R>
BINOCLE_BF16 inline void NativeRows(const Bf16Block& b, int64_t row) {
  const Bf16* x = b.x + row * b.ldx;
  float* c = b.c + row * b.ldc;
  __m512 acc[R][4];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v)
      acc[r][v] = b.add ? _mm512_loadu_ps(c + r * b.ldc + v * 16) : _mm512_setzero_ps();
  }
  const Bf16* w = b.w;
#pragma GCC unroll 2
  for (int64_t k = 0; k < b.depth; k += 2, w += 128) {
    __m512bh wk[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) wk[v] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(w + 32 * v));
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      int32_t pair;
      std::memcpy(&pair, x + r * b.ldx + k, sizeof pair);
      const auto xk = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], xk, wk[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) _mm512_storeu_ps(c + r * b.ldc + v * 16, acc[r][v]);
  }
}

}  // namespace

BINOCLE_AVX512 void Bf16BlockAvx512(const Bf16Block& b) {
  // Four rows: their 16 accumulators leave room for eight vectors of w.
  int64_t row = 0;
  for (; row + 4 <= b.rows; row += 4) WidenedRows<4>(b, row);
  switch (b.rows - row) {
    case 1: return WidenedRows<1>(b, row);
    case 2: return WidenedRows<2>(b, row);
    case 3: return WidenedRows<3>(b, row);
    default: return;
  }
}

BINOCLE_BF16 void Bf16BlockNative(const Bf16Block& b) {
  int64_t row = 0;
  for (; row + kBf16Rows <= b.rows; row += kBf16Rows) NativeRows<kBf16Rows>(b, row);
  switch (b.rows - row) {
    case 1: return NativeRows<1>(b, row);
    case 2: return NativeRows<2>(b, row);
    case 3: return NativeRows<3>(b, row);
    case 4: return NativeRows<4>(b, row);
    case 5: return NativeRows<5>(b, row);
    default: return;
  }
}

}  // namespace binocle

#endif
