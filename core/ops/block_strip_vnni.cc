#include <cstring>

#include "core/ops/block_strip.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// 8 chains, 8 sums, a vector of u and some of factors: 22 of the 32 registers. The quads of x are operands in memory, one for each product, which is
// as many as the processor loads.
constexpr int64_t kStripVnniRows = 8;

template <int R, bool kHalves>
BINOCLE_VNNI inline void StripRowsVnni(const StripProduct& p, int64_t row) {
  constexpr int kParts = kHalves ? 2 : 1;
  constexpr int kQuads = 8 / kParts;
  const GroupedRows x = p.x.From(row, 0);
  float* c = p.c + row * p.ldc;
  __m512 chain[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    chain[r] = p.add ? _mm512_loadu_ps(c + r * p.ldc) : _mm512_setzero_ps();
  for (int64_t g = 0; g < p.groups; ++g) {
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      const int64_t at = g * kParts + part;
      __m512i sum[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const int32_t* sums = x.sums + 2 * (r * x.ldg + g);
        sum[r] = _mm512_set1_epi32(-p.form.zero * (kHalves ? sums[part] : sums[0] + sums[1]));
      }
#pragma GCC unroll 8
      for (int quad = 0; quad < kQuads; ++quad) {
        const __m512i u = _mm512_load_si512(p.w.u[at * kQuads + quad]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          int32_t four;
          std::memcpy(&four, x.x + r * x.ldx + 4 * (at * kQuads + quad), sizeof four);
          sum[r] = _mm512_dpbusd_epi32(sum[r], u, _mm512_set1_epi32(four));
        }
      }
      const __m512 a = _mm512_load_ps(p.w.a[at]);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const __m512 factor = _mm512_mul_ps(a, _mm512_set1_ps(x.scales[r * x.ldg + g]));
        chain[r] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(sum[r]), chain[r]);
      }
    }
    if (!p.form.shifted) continue;
    const __m512 m = _mm512_load_ps(p.w.m[g]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      chain[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(x.shifts[r * x.ldg + g]), chain[r]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) _mm512_storeu_ps(c + r * p.ldc, chain[r]);
}

template <bool kHalves>
BINOCLE_VNNI void AllRowsVnni(const StripProduct& p) {
  int64_t row = 0;
  for (; row + kStripVnniRows <= p.rows; row += kStripVnniRows)
    StripRowsVnni<kStripVnniRows, kHalves>(p, row);
  switch (p.rows - row) {
    case 1: return StripRowsVnni<1, kHalves>(p, row);
    case 2: return StripRowsVnni<2, kHalves>(p, row);
    case 3: return StripRowsVnni<3, kHalves>(p, row);
    case 4: return StripRowsVnni<4, kHalves>(p, row);
    case 5: return StripRowsVnni<5, kHalves>(p, row);
    case 6: return StripRowsVnni<6, kHalves>(p, row);
    case 7: return StripRowsVnni<7, kHalves>(p, row);
    default: return;
  }
}

}  // namespace

void MultiplyStripVnni(const StripProduct& p) {
  p.form.halves ? AllRowsVnni<true>(p) : AllRowsVnni<false>(p);
}

}  // namespace binocle

#endif
