#include <cstring>

#include "core/ops/block_tiles.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

// Tiles take rows as they are, so nothing is turned but factors: nibbles become bytes, 64 at a time where a block has as many.
namespace binocle {
namespace {

BINOCLE_AVX512 inline __m512i Splat(int value) {
  return _mm512_set1_epi8(static_cast<char>(value));
}

// Four bytes at `offset` of each row.
struct RowWords {
  const uint8_t* first;
  __m512i offsets;

  BINOCLE_AVX512 explicit RowWords(const EvenRows& rows)
      : first(rows.first),
        offsets(_mm512_mullo_epi32(
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            _mm512_set1_epi32(static_cast<int>(rows.stride)))) {}
  BINOCLE_AVX512 __m512i At(int64_t offset) const {
    return _mm512_i32gather_epi32(offsets, first + offset, 1);
  }
};

// f32 of f16 in the lower halves of words.
BINOCLE_AVX512 inline __m512 LowerHalves(__m512i words) {
  return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
}
BINOCLE_AVX512 inline __m512 UpperHalves(__m512i words) {
  return LowerHalves(_mm512_srli_epi32(words, 16));
}

BINOCLE_AVX512 inline void PutFactor(TileStrip& out, int64_t part, __m512 a) {
  _mm512_store_ps(out.a[part], a);
}

// Tiles could take the bytes where they are stored; but each tile of rows of x would meet them across cache lines again.
BINOCLE_AVX512 void TileOfBytes(const EvenRows& rows, int64_t blocks, TileStrip& out) {
  for (int64_t n = 0; n < kStripWidth; ++n) {
    const uint8_t* from = rows.first + n * rows.stride + 2;
    for (int64_t b = 0; b < blocks; ++b)
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.v[n] + 32 * b),
                         _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 34 * b)));
  }
  const RowWords words(rows);
  for (int64_t b = 0; b < blocks; ++b) PutFactor(out, b, LowerHalves(words.At(34 * b)));
}

// q4_0, q4_1, q5_0, q5_1: d, m (of two), fifth bits, nibbles.
template <bool kShifted, bool kFifth>
BINOCLE_AVX512 void TileOfNibbles(const EvenRows& rows, int64_t blocks, TileStrip& out) {
  constexpr int64_t kFifthAt = kShifted ? 4 : 2;
  constexpr int64_t kNibblesAt = kFifthAt + (kFifth ? 4 : 0);
  constexpr int64_t kBytes = kNibblesAt + 16;
  constexpr char kZero = kShifted ? 0 : kFifth ? 16 : 8;
  const __m256i shifts = _mm256_setr_epi64x(0, 0, 4, 4);
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i sixteen = _mm256_set1_epi8(16);
  const __m256i zero = _mm256_set1_epi8(kZero);
  for (int64_t n = 0; n < kStripWidth; ++n) {
    const uint8_t* from = rows.first + n * rows.stride;
    for (int64_t b = 0; b < blocks; ++b, from += kBytes) {
      __m256i v = _mm256_broadcastsi128_si256(
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + kNibblesAt)));
      v = _mm256_and_si256(_mm256_srlv_epi64(v, shifts), mask);
      if (kFifth) {
        uint32_t bits;
        std::memcpy(&bits, from + kFifthAt, 4);
        v = _mm256_mask_add_epi8(v, _cvtu32_mask32(bits), v, sixteen);
      }
      if (!kShifted) v = _mm256_sub_epi8(v, zero);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.v[n] + 32 * b), v);
    }
  }
  const RowWords words(rows);
  for (int64_t b = 0; b < blocks; ++b) {
    const __m512i head = words.At(kBytes * b);
    PutFactor(out, b, LowerHalves(head));
    if (kShifted) _mm512_store_ps(out.m[b], UpperHalves(head));
  }
}

// The first 16 bytes of q4_k and q5_k: d, e and the factors of eight groups, for which block_types.cc says where their bits are.
BINOCLE_AVX512 void FactorsOfPairs(const EvenRows& rows, TileStrip& out) {
  const RowWords words(rows);
  const __m512i scales = words.At(0), h1 = words.At(4), h2 = words.At(8), h3 = words.At(12);
  const __m512 d = LowerHalves(scales), e = UpperHalves(scales);
  const __m512i six = Splat(63), four = Splat(15), upper = Splat(0x30);
  const __m512i s[2] = {_mm512_and_si512(h1, six),
                        _mm512_or_si512(_mm512_and_si512(h3, four),
                                        _mm512_and_si512(_mm512_srli_epi16(h1, 2), upper))};
  const __m512i t[2] = {_mm512_and_si512(h2, six),
                        _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(h3, 4), four),
                                        _mm512_and_si512(_mm512_srli_epi16(h2, 2), upper))};
  const __m512i byte = _mm512_set1_epi32(0xFF);
  const __m512 minus = _mm512_set1_ps(-0.0F);
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const auto shift = static_cast<unsigned>(g % 4 * 8);
    const __m512i sg = _mm512_and_si512(_mm512_srli_epi32(s[g / 4], shift), byte);
    const __m512i tg = _mm512_and_si512(_mm512_srli_epi32(t[g / 4], shift), byte);
    PutFactor(out, g, _mm512_mul_ps(d, _mm512_cvtepi32_ps(sg)));
    _mm512_store_ps(out.m[g], _mm512_xor_ps(_mm512_mul_ps(e, _mm512_cvtepi32_ps(tg)), minus));
  }
}

BINOCLE_AVX512 inline void PutHalves(int8_t* lower, int8_t* upper, __m512i bytes) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(lower), _mm512_castsi512_si256(bytes));
  _mm256_store_si256(reinterpret_cast<__m256i*>(upper), _mm512_extracti64x4_epi64(bytes, 1));
}

// a where the mask's bits are set, else b.
BINOCLE_AVX512 inline __m512i Choose(__m512i mask, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi64(mask, a, b, 0xCA);
}

template <bool kFifth>
BINOCLE_AVX512 void TileOfPairs(const EvenRows& rows, TileStrip& out) {
  constexpr int64_t kNibblesAt = kFifth ? 48 : 16;
  const __m512i four = Splat(15), five = Splat(31);
  // Fifth bits of groups 4·i, 4·i + 2 and of 4·i + 1, 4·i + 3 are turned to bit 4.
  const __m512i turn[2][2] = {
      {_mm512_setr_epi64(60, 60, 60, 60, 62, 62, 62, 62),
       _mm512_setr_epi64(61, 61, 61, 61, 63, 63, 63, 63)},
      {_mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2), _mm512_setr_epi64(1, 1, 1, 1, 3, 3, 3, 3)}};
  for (int64_t n = 0; n < kStripWidth; ++n) {
    const uint8_t* from = rows.first + n * rows.stride;
    int8_t* to = out.v[n];
    __m512i fifth = _mm512_setzero_si512();
    if (kFifth)
      fifth =
          _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 16)));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const __m512i bytes = _mm512_loadu_si512(from + kNibblesAt + 64 * i);
      __m512i low = bytes, high = _mm512_srli_epi16(bytes, 4);
      if (kFifth) {
        low = _mm512_and_si512(Choose(four, low, _mm512_rorv_epi64(fifth, turn[i][0])), five);
        high = _mm512_and_si512(Choose(four, high, _mm512_rorv_epi64(fifth, turn[i][1])), five);
      } else {
        low = _mm512_and_si512(low, four);
        high = _mm512_and_si512(high, four);
      }
      PutHalves(to + 128 * i, to + 128 * i + 64, low);
      PutHalves(to + 128 * i + 32, to + 128 * i + 96, high);
    }
  }
  FactorsOfPairs(rows, out);
}

BINOCLE_AVX512 void TileOfQ6K(const EvenRows& rows, TileStrip& out) {
  const __m512i four = Splat(15), six = Splat(63), zero = Splat(32);
  // Upper bits of groups 0 and 1, and of 2 and 3, are turned to bit 4.
  const __m512i turn_low = _mm512_setr_epi64(60, 60, 60, 60, 62, 62, 62, 62);
  const __m512i turn_high = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);
  for (int64_t n = 0; n < kStripWidth; ++n) {
    const uint8_t* from = rows.first + n * rows.stride;
    int8_t* to = out.v[n];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const __m512i bytes = _mm512_loadu_si512(from + 64 * i);
      const __m512i upper = _mm512_broadcast_i64x4(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 128 + 32 * i)));
      const __m512i low =
          _mm512_and_si512(Choose(four, bytes, _mm512_rorv_epi64(upper, turn_low)), six);
      const __m512i high = _mm512_and_si512(
          Choose(four, _mm512_srli_epi16(bytes, 4), _mm512_rorv_epi64(upper, turn_high)), six);
      _mm512_store_si512(to + 128 * i, _mm512_sub_epi8(low, zero));
      _mm512_store_si512(to + 128 * i + 64, _mm512_sub_epi8(high, zero));
    }
  }
  const RowWords words(rows);
  const __m512 d = UpperHalves(words.At(206));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i four_factors = words.At(192 + 4 * i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i up = _mm512_slli_epi32(four_factors, static_cast<unsigned>(24 - 8 * j));
      PutFactor(out, 4 * i + j, _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_srai_epi32(up, 24))));
    }
  }
}

BINOCLE_AVX512 void ScaleFactors(const BlockForm& form, int64_t groups, float scale,
                                 TileStrip& out) {
  const __m512 by = _mm512_set1_ps(scale);
  for (int64_t part = 0; part < (form.halves ? 2 : 1) * groups; ++part)
    PutFactor(out, part, _mm512_mul_ps(_mm512_load_ps(out.a[part]), by));
  for (int64_t g = 0; form.shifted && g < groups; ++g)
    _mm512_store_ps(out.m[g], _mm512_mul_ps(_mm512_load_ps(out.m[g]), by));
}

}  // namespace

void ReadTileStrip(DType dtype, const EvenRows& rows, int64_t depth, float scale, TileStrip& out) {
  const int64_t blocks = depth / UnitOf(dtype).elements;
  switch (dtype) {
    case DType::kQ80: TileOfBytes(rows, blocks, out); break;
    case DType::kQ40: TileOfNibbles<false, false>(rows, blocks, out); break;
    case DType::kQ41: TileOfNibbles<true, false>(rows, blocks, out); break;
    case DType::kQ50: TileOfNibbles<false, true>(rows, blocks, out); break;
    case DType::kQ51: TileOfNibbles<true, true>(rows, blocks, out); break;
    case DType::kQ4K: TileOfPairs<false>(rows, out); break;
    case DType::kQ5K: TileOfPairs<true>(rows, out); break;
    case DType::kQ6K: TileOfQ6K(rows, out); break;
    default: BINOCLE_CHECK(false, DTypeName(dtype));
  }
  if (scale != 1) ScaleFactors(FormOf(dtype), depth / kBlockGroup, scale, out);
}

}  // namespace binocle

#endif
