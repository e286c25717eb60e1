#include <cstring>

#include "core/ops/int8_block.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// 6 × 4 accumulators, 4 vectors of w and one of x: 29 of the 32 registers.
constexpr int64_t kVnniRows = 6;
// With several rows the products keep the processor from running far enough ahead of memory by itself. With one they do not, and what is
// brought by hand stands in the way of what it brings: a tenth of decoding's time, where weights lie in huge pages.
constexpr int64_t kReadAhead = 4096;

template <int R>
BINOCLE_VNNI inline void VnniRows(const Int8Block& b, int64_t row) {
  const uint8_t* x = b.x + row * b.ldx;
  int32_t* c = b.c + row * 64;
  __m512i acc[R][4];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v)
      acc[r][v] = b.add ? _mm512_loadu_si512(c + r * 64 + v * 16) : _mm512_setzero_si512();
  }
  const int8_t* w = b.w;
#pragma GCC unroll 2
  for (int64_t k = 0; k < b.depth; k += 4, w += 256) {
    __m512i wk[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      wk[v] = _mm512_loadu_si512(w + 64 * v);
      if constexpr (R > 1)
        _mm_prefetch(reinterpret_cast<const char*>(w + 64 * v + kReadAhead), _MM_HINT_T0);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * b.ldx + k, sizeof four);
      const __m512i xk = _mm512_set1_epi32(four);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) acc[r][v] = _mm512_dpbusd_epi32(acc[r][v], xk, wk[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) _mm512_storeu_si512(c + r * 64 + v * 16, acc[r][v]);
  }
}

}  // namespace

BINOCLE_VNNI void Int8BlockVnni(const Int8Block& b) {
  int64_t row = 0;
  for (; row + kVnniRows <= b.rows; row += kVnniRows) VnniRows<kVnniRows>(b, row);
  switch (b.rows - row) {
    case 1: return VnniRows<1>(b, row);
    case 2: return VnniRows<2>(b, row);
    case 3: return VnniRows<3>(b, row);
    case 4: return VnniRows<4>(b, row);
    case 5: return VnniRows<5>(b, row);
    default: return;
  }
}

}  // namespace binocle

#endif
