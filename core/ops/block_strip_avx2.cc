#include <cstring>

#include "core/ops/block_strip.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

// Blocks are stored row by row, and a strip wants four k of a row beside those of the next one: pieces of 16 bytes of eight rows are turned as 4 × 4
// words before nibbles are taken apart, so that the same shuffles turn twice as many of them.
namespace binocle {
namespace {

constexpr int64_t kHalfWidth = kStripWidth / 2;

BINOCLE_AVX2 inline __m256i BytesOf(int value) {
  return _mm256_set1_epi8(static_cast<char>(value));
}

// out[j] = bytes [offset + 4·j, offset + 4·j + 4) of eight rows.
BINOCLE_AVX2 inline void Turn(const uint8_t* const* rows, int64_t offset, __m256i* out) {
  __m256i z[4];
  for (int i = 0; i < 4; ++i) {
    const auto* low = reinterpret_cast<const __m128i*>(rows[i] + offset);
    const auto* high = reinterpret_cast<const __m128i*>(rows[i + 4] + offset);
    z[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                   _mm_loadu_si128(high), 1);
  }
  const __m256i t0 = _mm256_unpacklo_epi32(z[0], z[1]), t1 = _mm256_unpackhi_epi32(z[0], z[1]);
  const __m256i t2 = _mm256_unpacklo_epi32(z[2], z[3]), t3 = _mm256_unpackhi_epi32(z[2], z[3]);
  out[0] = _mm256_unpacklo_epi64(t0, t2);
  out[1] = _mm256_unpackhi_epi64(t0, t2);
  out[2] = _mm256_unpacklo_epi64(t1, t3);
  out[3] = _mm256_unpackhi_epi64(t1, t3);
}

// The f16 at `offset` of eight rows.
BINOCLE_AVX2 inline __m256 HalvesAt(const uint8_t* const* rows, int64_t offset) {
  int16_t bits[kHalfWidth];
  for (int i = 0; i < kHalfWidth; ++i) std::memcpy(&bits[i], rows[i] + offset, 2);
  return _mm256_cvtph_ps(
      _mm_setr_epi16(bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], bits[6], bits[7]));
}

BINOCLE_AVX2 inline __m256i WordsAt(const uint8_t* const* rows, int64_t offset) {
  int32_t bits[kHalfWidth];
  for (int i = 0; i < kHalfWidth; ++i) std::memcpy(&bits[i], rows[i] + offset, 4);
  return _mm256_setr_epi32(bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], bits[6], bits[7]);
}

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

BINOCLE_AVX2 inline __m256i LowNibbles(__m256i bytes) {
  return _mm256_and_si256(bytes, BytesOf(15));
}
BINOCLE_AVX2 inline __m256i HighNibbles(__m256i bytes) {
  return LowNibbles(_mm256_srli_epi16(bytes, 4));
}

BINOCLE_AVX2 void StripOfBytes(const uint8_t* const* rows, int64_t blocks, const HalfStrip& to) {
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = b * 34;
    to.PutFactor(b, HalvesAt(rows, at));
    for (int half = 0; half < 2; ++half) {
      __m256i piece[4];
      Turn(rows, at + 2 + 16 * half, piece);
      for (int j = 0; j < 4; ++j)
        to.Put(8 * b + 4 * half + j, _mm256_xor_si256(piece[j], BytesOf(0x80)));
    }
  }
}

// Sixteen where the bits 4·quad … 4·quad + 3 of a lane are set, a byte for each.
BINOCLE_AVX2 inline __m256i FifthBits(__m256i bits, int quad) {
  const int byte = quad / 2;
  const __m256i of_lane = _mm256_add_epi8(_mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C,
                                                            0, 0x04040404, 0x08080808, 0x0C0C0C0C),
                                          BytesOf(byte));
  const __m256i chosen =
      _mm256_set1_epi32(quad % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
  const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(bits, of_lane), chosen);
  return _mm256_and_si256(_mm256_cmpeq_epi8(spread, chosen), BytesOf(16));
}

// q4_0, q4_1, q5_0, q5_1: d, m (of two), fifth bits, nibbles.
template <bool kShifted, bool kFifth>
BINOCLE_AVX2 void StripOfNibbles(const uint8_t* const* rows, int64_t blocks, const HalfStrip& to) {
  constexpr int64_t kFifthAt = kShifted ? 4 : 2;
  constexpr int64_t kNibblesAt = kFifthAt + (kFifth ? 4 : 0);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = b * (kNibblesAt + 16);
    to.PutFactor(b, HalvesAt(rows, at));
    if (kShifted) to.PutShift(b, HalvesAt(rows, at + 2));
    __m256i piece[4];
    Turn(rows, at + kNibblesAt, piece);
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

// Of every byte the bits of `mask` once it is shifted down, moved up by `up`. What comes from the byte above is not in the mask.
BINOCLE_AVX2 inline __m256i BitsOf(__m256i bytes, int shift, int mask, int up) {
  const __m256i down = _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(shift));
  return _mm256_sll_epi16(_mm256_and_si256(down, BytesOf(mask)), _mm_cvtsi32_si128(up));
}

// The first 16 bytes of q4_k and q5_k: d, e and the factors of eight groups, for which block_types.cc says where their bits are.
BINOCLE_AVX2 void StripOfPairFactors(const uint8_t* const* rows, const HalfStrip& to) {
  __m256i head[4];  // d | e, s of the first groups, t of the first groups, and the rest
  Turn(rows, 0, head);
  const __m256i halves = _mm256_permute4x64_epi64(
      _mm256_packus_epi32(_mm256_and_si256(head[0], _mm256_set1_epi32(0xFFFF)),
                          _mm256_srli_epi32(head[0], 16)),
      0xD8);
  const __m256 d = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
  const __m256 e = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
  const __m256i upper_s = _mm256_slli_epi16(BitsOf(head[1], 6, 3, 0), 4);
  const __m256i upper_t = _mm256_slli_epi16(BitsOf(head[2], 6, 3, 0), 4);
  const __m256i s[2] = {_mm256_and_si256(head[1], BytesOf(63)),
                        _mm256_or_si256(LowNibbles(head[3]), upper_s)};
  const __m256i t[2] = {_mm256_and_si256(head[2], BytesOf(63)),
                        _mm256_or_si256(HighNibbles(head[3]), upper_t)};
  const __m256i byte = _mm256_set1_epi32(0xFF);
  for (int g = 0; g < 8; ++g) {
    const __m128i shift = _mm_cvtsi32_si128(g % 4 * 8);
    const __m256i sg = _mm256_and_si256(_mm256_srl_epi32(s[g / 4], shift), byte);
    const __m256i tg = _mm256_and_si256(_mm256_srl_epi32(t[g / 4], shift), byte);
    to.PutFactor(g, _mm256_mul_ps(d, _mm256_cvtepi32_ps(sg)));
    const __m256 m = _mm256_mul_ps(e, _mm256_cvtepi32_ps(tg));
    to.PutShift(g, _mm256_xor_ps(m, _mm256_set1_ps(-0.0F)));
  }
}

template <bool kFifth>
BINOCLE_AVX2 void StripOfPairs(const uint8_t* const* rows, const HalfStrip& to) {
  StripOfPairFactors(rows, to);
  constexpr int64_t kNibblesAt = kFifth ? 48 : 16;
  for (int half = 0; half < 2; ++half) {  // of every group
    __m256i fifth[4];
    if (kFifth) Turn(rows, 16 + 16 * half, fifth);
    for (int pair = 0; pair < 4; ++pair) {
      __m256i piece[4];
      Turn(rows, kNibblesAt + 32 * pair + 16 * half, piece);
      for (int j = 0; j < 4; ++j) {
        __m256i low = LowNibbles(piece[j]), high = HighNibbles(piece[j]);
        if (kFifth) {
          low = _mm256_or_si256(low, BitsOf(fifth[j], 2 * pair, 1, 4));
          high = _mm256_or_si256(high, BitsOf(fifth[j], 2 * pair + 1, 1, 4));
        }
        to.Put(16 * pair + 4 * half + j, low);
        to.Put(16 * pair + 8 + 4 * half + j, high);
      }
    }
  }
}

BINOCLE_AVX2 void StripOfQ6K(const uint8_t* const* rows, const HalfStrip& to) {
  const __m256 d = HalvesAt(rows, 208);
  __m256i factors[4];
  Turn(rows, 192, factors);
  for (int part = 0; part < 16; ++part) {
    const __m256i up = _mm256_sll_epi32(factors[part / 4], _mm_cvtsi32_si128(24 - part % 4 * 8));
    to.PutFactor(part, _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_srai_epi32(up, 24))));
  }
  for (int i = 0; i < 4; ++i) {  // halves of halves of the block: 16 elements of four groups
    const int block_half = i / 2, half = i % 2;
    __m256i low[2][4], high[4];
    Turn(rows, 64 * block_half + 16 * half, low[0]);
    Turn(rows, 64 * block_half + 32 + 16 * half, low[1]);
    Turn(rows, 128 + 32 * block_half + 16 * half, high);
    for (int g = 0; g < 4; ++g) {
      for (int j = 0; j < 4; ++j) {
        const __m256i nibbles = BitsOf(low[g % 2][j], g / 2 * 4, 15, 0);
        to.Put(32 * block_half + 8 * g + 4 * half + j,
               _mm256_or_si256(nibbles, BitsOf(high[j], 2 * g, 3, 4)));
      }
    }
  }
}

BINOCLE_AVX2 void ReadHalf(DType dtype, const uint8_t* const* rows, int64_t depth,
                           const HalfStrip& to) {
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
  if (kEight) {
    const __m256i w = _mm256_xor_si256(u, BytesOf(0x80));
    u = _mm256_abs_epi8(w);
    b = _mm256_sign_epi8(b, w);
  }
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
    ReadHalf(dtype, rows.row + column, depth, {.strip = out, .column = column});
}

void MultiplyStripAvx2(const StripProduct& p) {
  constexpr int kZeroOfBytes = 128;  // of the one type with bytes, q8_0
  p.form.zero == kZeroOfBytes ? AllRowsAvx2<true>(p) : AllRowsAvx2<false>(p);
}

}  // namespace binocle

#endif
