#include "core/ops/block_strip.h"

#include <cstring>

#include "core/ops/block_bits_avx2.h"

#if defined(__x86_64__)

// Blocks are stored row by row, and a strip wants four k of a row beside those of the next one: pieces of 16 bytes of eight rows are turned as 4 × 4
// words before nibbles are taken apart, so that the same shuffles turn twice as many of them.
namespace binocle {
namespace {

constexpr int64_t kHalfWidth = kStripWidth / 2;

// Eight rows of a strip.
struct HalfRows {
  const uint8_t* const* rows;

  BINOCLE_EIGHT const uint8_t* At(int row, int64_t offset) const { return rows[row] + offset; }
};

// Eight columns of a strip.
struct HalfStrip {
  BlockStrip& strip;
  int64_t column;

  BINOCLE_AVX2 void Put(int64_t quad, __m256i bytes) const {
    _mm256_store_si256(reinterpret_cast<__m256i*>(strip.u[quad][column]), bytes);
  }
  BINOCLE_AVX2 void PutFactor(int64_t part, __m256 a) const {
    _mm256_store_ps(strip.a[part] + column, a);
  }
  BINOCLE_AVX2 void PutShift(int64_t group, __m256 m) const {
    _mm256_store_ps(strip.m[group] + column, m);
  }
};

BINOCLE_AVX2 void StripOfBytes(const HalfRows& rows, int64_t blocks, const HalfStrip& to) {
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = b * 34;
    to.PutFactor(b, HalvesAt(rows, at));
    for (int half = 0; half < 2; ++half) {
      __m256i piece[4];
      TurnEight(rows, at + 2 + 16 * half, piece);
      for (int j = 0; j < 4; ++j)
        to.Put(8 * b + 4 * half + j, _mm256_xor_si256(piece[j], BytesOf(0x80)));
    }
  }
}

// q4_0, q4_1, q5_0, q5_1: d, m (of two), fifth bits, nibbles.
template <bool kShifted, bool kFifth>
BINOCLE_AVX2 void StripOfNibbles(const HalfRows& rows, int64_t blocks, const HalfStrip& to) {
  constexpr int64_t kFifthAt = kShifted ? 4 : 2;
  constexpr int64_t kNibblesAt = kFifthAt + (kFifth ? 4 : 0);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = b * (kNibblesAt + 16);
    to.PutFactor(b, HalvesAt(rows, at));
    if (kShifted) to.PutShift(b, HalvesAt(rows, at + 2));
    __m256i piece[4];
    TurnEight(rows, at + kNibblesAt, piece);
    const __m256i fifth = kFifth ? WordsAt(rows, at + kFifthAt) : _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      __m256i low = LowNibbles(piece[j]), high = HighNibbles(piece[j]);
      if (kFifth) {
        low = _mm256_or_si256(low, FifthBits(fifth, j));
        high = _mm256_or_si256(high, FifthBits(fifth, j + 4));
      }
      to.Put(8 * b + j, low);
      to.Put(8 * b + 4 + j, high);
    }
  }
}

template <bool kFifth>
BINOCLE_AVX2 void StripOfPairs(const HalfRows& rows, const HalfStrip& to) {
  const EightFactors factors(rows);
  for (int g = 0; g < 8; ++g) {
    to.PutFactor(g, factors.a[g]);
    to.PutShift(g, factors.m[g]);
  }
  constexpr int64_t kNibblesAt = kFifth ? 48 : 16;
  for (int half = 0; half < 2; ++half) {  // of every group
    __m256i fifth[4];
    if (kFifth) TurnEight(rows, 16 + 16 * half, fifth);
    for (int pair = 0; pair < 4; ++pair) {
      __m256i piece[4];
      TurnEight(rows, kNibblesAt + 32 * pair + 16 * half, piece);
      for (int j = 0; j < 4; ++j) {
        __m256i low = LowNibbles(piece[j]), high = HighNibbles(piece[j]);
        if (kFifth) {
          low = _mm256_or_si256(low, AboveFour(fifth[j], 2 * pair, 1));
          high = _mm256_or_si256(high, AboveFour(fifth[j], 2 * pair + 1, 1));
        }
        to.Put(16 * pair + 4 * half + j, low);
        to.Put(16 * pair + 8 + 4 * half + j, high);
      }
    }
  }
}

BINOCLE_AVX2 void StripOfQ6K(const HalfRows& rows, const HalfStrip& to) {
  const __m256 d = HalvesAt(rows, 208);
  __m256i factors[4];
  TurnEight(rows, 192, factors);
  for (int part = 0; part < 16; ++part) to.PutFactor(part, FactorOfSixteenth(factors, part, d));
  for (int i = 0; i < 4; ++i) {  // halves of halves of the block: 16 elements of four groups
    const int block_half = i / 2, half = i % 2;
    __m256i low[2][4], high[4];
    TurnEight(rows, 64 * block_half + 16 * half, low[0]);
    TurnEight(rows, 64 * block_half + 32 + 16 * half, low[1]);
    TurnEight(rows, 128 + 32 * block_half + 16 * half, high);
    for (int g = 0; g < 4; ++g) {
      for (int j = 0; j < 4; ++j) {
        const __m256i both = low[g % 2][j];
        const __m256i nibbles = g < 2 ? LowNibbles(both) : HighNibbles(both);
        to.Put(32 * block_half + 8 * g + 4 * half + j,
               _mm256_or_si256(nibbles, AboveFour(high[j], 2 * g, 3)));
      }
    }
  }
}

BINOCLE_AVX2 void ReadHalf(DType dtype, const HalfRows& rows, int64_t depth, const HalfStrip& to) {
  const int64_t blocks = depth / UnitOf(dtype).elements;
  switch (dtype) {
    case DType::kQ80: return StripOfBytes(rows, blocks, to);
    case DType::kQ40: return StripOfNibbles<false, false>(rows, blocks, to);
    case DType::kQ41: return StripOfNibbles<true, false>(rows, blocks, to);
    case DType::kQ50: return StripOfNibbles<false, true>(rows, blocks, to);
    case DType::kQ51: return StripOfNibbles<true, true>(rows, blocks, to);
    case DType::kQ4K: return StripOfPairs<false>(rows, to);
    case DType::kQ5K: return StripOfPairs<true>(rows, to);
    case DType::kQ6K: return StripOfQ6K(rows, to);
    default: BINOCLE_CHECK(false, DTypeName(dtype));
  }
}

// (u − zero)·b of four k, summed: eight columns. Products of two bytes that are added in 16 bits fit where u has six bits; of eight, |w|·(±b) does.
template <bool kEight>
BINOCLE_AVX2 inline __m256i Dot(__m256i sum, __m256i u, __m256i b) {
  if (kEight) return _mm256_add_epi32(sum, SignedFours(_mm256_xor_si256(u, BytesOf(0x80)), b));
  const __m256i pairs = _mm256_maddubs_epi16(u, b);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

template <int R, bool kEight>
BINOCLE_AVX2 inline void StripRowsAvx2(const StripProduct& p, int64_t row) {
  const GroupedRows x = p.x.From(row, 0);
  float* c = p.c + row * p.ldc;
  __m256 chain[R][2];
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      chain[r][v] = p.add ? _mm256_loadu_ps(c + r * p.ldc + 8 * v) : _mm256_setzero_ps();
  }
  const int parts = p.form.halves ? 2 : 1;
  const int quads = 8 / parts;
  const auto* u = reinterpret_cast<const __m256i*>(p.w.u);
  for (int64_t g = 0; g < p.groups; ++g) {
    for (int part = 0; part < parts; ++part) {
      const int64_t at = g * parts + part;
      __m256i sum[R][2];
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const int32_t* sums = x.sums + 2 * (r * x.ldg + g);
        const int32_t of_x = parts == 2 ? sums[part] : sums[0] + sums[1];
        sum[r][0] = sum[r][1] = _mm256_set1_epi32(kEight ? 0 : -p.form.zero * of_x);
      }
      for (int64_t quad = at * quads; quad < (at + 1) * quads; ++quad) {
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) {
          int32_t four;
          std::memcpy(&four, x.x + r * x.ldx + 4 * quad, sizeof four);
          const __m256i b = _mm256_set1_epi32(four);
          sum[r][0] = Dot<kEight>(sum[r][0], _mm256_load_si256(u + 2 * quad), b);
          sum[r][1] = Dot<kEight>(sum[r][1], _mm256_load_si256(u + 2 * quad + 1), b);
        }
      }
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const __m256 s = _mm256_set1_ps(x.scales[r * x.ldg + g]);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          const __m256 factor = _mm256_mul_ps(_mm256_load_ps(p.w.a[at] + 8 * v), s);
          chain[r][v] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(sum[r][v]), chain[r][v]);
        }
      }
    }
    if (!p.form.shifted) continue;
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const __m256 shift = _mm256_set1_ps(x.shifts[r * x.ldg + g]);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v)
        chain[r][v] = _mm256_fmadd_ps(_mm256_load_ps(p.w.m[g] + 8 * v), shift, chain[r][v]);
    }
  }
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) _mm256_storeu_ps(c + r * p.ldc + 8 * v, chain[r][v]);
  }
}

template <bool kEight>
BINOCLE_AVX2 void AllRowsAvx2(const StripProduct& p) {
  int64_t row = 0;
  for (; row + 2 <= p.rows; row += 2) StripRowsAvx2<2, kEight>(p, row);
  if (row < p.rows) StripRowsAvx2<1, kEight>(p, row);
}

}  // namespace

void ReadStripAvx2(DType dtype, const StripRows& rows, int64_t depth, BlockStrip& out) {
  for (int64_t column = 0; column < kStripWidth; column += kHalfWidth)
    ReadHalf(dtype, {.rows = rows.row + column}, depth, {.strip = out, .column = column});
}

void MultiplyStripAvx2(const StripProduct& p) {
  constexpr int kZeroOfBytes = 128;  // of the one type with bytes, q8_0
  p.form.zero == kZeroOfBytes ? AllRowsAvx2<true>(p) : AllRowsAvx2<false>(p);
}

}  // namespace binocle

#endif
