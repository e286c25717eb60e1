// Blocks of eight rows taken apart by AVX2, for strips (block_strip_avx2.cc) and for few rows (block_rows_avx2.cc). `Rows` knows where its rows are: At(row,
// offset) is byte `offset` of the blocks at hand.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/simd/x86.h"

#if defined(__x86_64__)

#define BINOCLE_EIGHT BINOCLE_AVX2 __attribute__((always_inline)) inline

namespace binocle {

BINOCLE_EIGHT __m256i BytesOf(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }

// out[j] = bytes [offset + 4·j, offset + 4·j + 4) of eight rows.
template <typename Rows>
BINOCLE_EIGHT void TurnEight(const Rows& rows, int64_t offset, __m256i* out) {
  __m256i z[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const auto* low = reinterpret_cast<const __m128i*>(rows.At(i, offset));
    const auto* high = reinterpret_cast<const __m128i*>(rows.At(i + 4, offset));
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
template <typename Rows>
BINOCLE_EIGHT __m256 HalvesAt(const Rows& rows, int64_t offset) {
  int16_t b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) std::memcpy(&b[i], rows.At(i, offset), sizeof b[i]);
  return _mm256_cvtph_ps(_mm_setr_epi16(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]));
}

template <typename Rows>
BINOCLE_EIGHT __m256i WordsAt(const Rows& rows, int64_t offset) {
  int32_t b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) std::memcpy(&b[i], rows.At(i, offset), sizeof b[i]);
  return _mm256_setr_epi32(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]);
}

BINOCLE_EIGHT __m256i LowNibbles(__m256i bytes) { return _mm256_and_si256(bytes, BytesOf(15)); }
BINOCLE_EIGHT __m256i HighNibbles(__m256i bytes) { return LowNibbles(_mm256_srli_epi16(bytes, 4)); }

// Sixteen where the bits 4·quad … 4·quad + 3 of a lane are set, a byte for each.
BINOCLE_EIGHT __m256i FifthBits(__m256i bits, int quad) {
  const int byte = quad / 2;
  const __m256i of_lane = _mm256_add_epi8(_mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C,
                                                            0, 0x04040404, 0x08080808, 0x0C0C0C0C),
                                          BytesOf(byte));
  const __m256i chosen =
      _mm256_set1_epi32(quad % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
  const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(bits, of_lane), chosen);
  return _mm256_and_si256(_mm256_cmpeq_epi8(spread, chosen), BytesOf(16));
}

// Of every byte the bits of `mask` once it is shifted down, moved up by four. What comes from the byte above is not in the mask.
BINOCLE_EIGHT __m256i AboveFour(__m256i bytes, int down, int mask) {
  return _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(bytes, down), BytesOf(mask)), 4);
}

// The first 16 bytes of q4_k and q5_k: d, e and the factors of eight groups, for which block_types.cc says where their bits are.
struct EightFactors {
  __m256 a[8];
  __m256 m[8];

  template <typename Rows>
  BINOCLE_EIGHT explicit EightFactors(const Rows& rows) {
    __m256i head[4];  // d | e, s of the first groups, t of the first groups, and the rest
    TurnEight(rows, 0, head);
    const __m256 d = HalvesAt(rows, 0);
    const __m256 e = _mm256_xor_ps(HalvesAt(rows, 2), _mm256_set1_ps(-0.0F));
    const __m256i six = BytesOf(63), upper = BytesOf(0x30);
    const __m256i s[2] = {_mm256_and_si256(head[1], six),
                          _mm256_or_si256(LowNibbles(head[3]),
                                          _mm256_and_si256(_mm256_srli_epi16(head[1], 2), upper))};
    const __m256i t[2] = {_mm256_and_si256(head[2], six),
                          _mm256_or_si256(HighNibbles(head[3]),
                                          _mm256_and_si256(_mm256_srli_epi16(head[2], 2), upper))};
    const __m256i byte = _mm256_set1_epi32(0xFF);
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const int down = g % 4 * 8;
      const __m256i sg = _mm256_and_si256(_mm256_srli_epi32(s[g / 4], down), byte);
      const __m256i tg = _mm256_and_si256(_mm256_srli_epi32(t[g / 4], down), byte);
      a[g] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(sg));
      m[g] = _mm256_mul_ps(e, _mm256_cvtepi32_ps(tg));
    }
  }
};

// Factor `part` of the 16 of q6_k, which TurnEight took from byte 192 on.
BINOCLE_EIGHT __m256 FactorOfSixteenth(const __m256i* factors, int part, __m256 d) {
  const __m256i up = _mm256_slli_epi32(factors[part / 4], 24 - part % 4 * 8);
  return _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_srai_epi32(up, 24)));
}

// |w|·(±x) of signed bytes, added in pairs, which 16 bits hold, and these in fours.
BINOCLE_EIGHT __m256i SignedFours(__m256i w, __m256i x) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

}  // namespace binocle

#endif
