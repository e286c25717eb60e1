// Blocks for few rows of x without an instruction for bytes: eight features at a time. Pieces of 16 bytes of their rows are turned as 4 × 4 words, as
// block_rows_vnni.cc does with 16. Products of u and x are added in 16 bits for as long as they fit: of four bits over a whole group, of five over half
// of it, of six over a quarter.
#include <cstring>

#include "core/error.h"
#include "core/ops/block_rows.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

#define BINOCLE_EIGHT BINOCLE_AVX2 __attribute__((always_inline)) inline

namespace binocle {
namespace {

BINOCLE_EIGHT __m256i EightOf(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
BINOCLE_EIGHT __m256i FourBits(__m256i bytes) { return _mm256_and_si256(bytes, EightOf(15)); }

// Eight rows that go along together.
struct EightRows {
  const uint8_t* half[2];
  int64_t stride;

  BINOCLE_EIGHT EightRows(const EvenRows& rows, int64_t first) : stride(rows.stride) {
    half[0] = rows.first + first * rows.stride;
    half[1] = half[0] + 4 * rows.stride;
  }
  BINOCLE_EIGHT void Advance(int64_t bytes) {
    half[0] += bytes;
    half[1] += bytes;
  }
  BINOCLE_EIGHT const uint8_t* At(int row, int64_t offset) const {
    return half[row / 4] + row % 4 * stride + offset;
  }
  // out[j] = bytes [offset + 4·j, offset + 4·j + 4) of each row.
  BINOCLE_EIGHT void Turn(int64_t offset, __m256i* out) const {
    __m256i z[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto* low = reinterpret_cast<const __m128i*>(At(i, offset));
      const auto* high = reinterpret_cast<const __m128i*>(At(i + 4, offset));
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
  // Two or four bytes of each row.
  BINOCLE_EIGHT __m256 F16(int64_t offset) const {
    int16_t bits[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) std::memcpy(&bits[i], At(i, offset), sizeof bits[i]);
    return _mm256_cvtph_ps(
        _mm_setr_epi16(bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], bits[6], bits[7]));
  }
  BINOCLE_EIGHT __m256i Words(int64_t offset) const {
    int32_t bits[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) std::memcpy(&bits[i], At(i, offset), sizeof bits[i]);
    return _mm256_setr_epi32(bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], bits[6],
                             bits[7]);
  }
};

// Sums over k of eight features and R rows of x.
template <int R>
struct EightSums {
  __m256i fours[R];  // of four k
  __m256i pairs[R];  // of two, in 16 bits, not among `fours` yet

  BINOCLE_EIGHT void Flush() {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      fours[r] = _mm256_add_epi32(fours[r], _mm256_madd_epi16(pairs[r], _mm256_set1_epi16(1)));
      pairs[r] = _mm256_setzero_si256();
    }
  }
};

// The chains of R rows of x.
template <int R>
struct EightChains {
  const DirectProduct& p;
  GroupedRows x;
  float* c;
  __m256 chain[R];
  __m256 scale;
  bool scaled;

  BINOCLE_EIGHT EightChains(const DirectProduct& product, int64_t row, int64_t feature)
      : p(product),
        x(product.x.From(row, 0)),
        c(product.c + row * product.ldc + feature),
        scale(_mm256_set1_ps(product.scale)),
        scaled(product.scale != 1) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      chain[r] = p.add ? _mm256_loadu_ps(c + r * p.ldc) : _mm256_setzero_ps();
  }
  BINOCLE_EIGHT void Store() const {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) _mm256_storeu_ps(c + r * p.ldc, chain[r]);
  }

  // −zero·Σ b of group g, or of its half.
  BINOCLE_EIGHT void Start(EightSums<R>& sums, int64_t g, int zero) const {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const int32_t* of_x = x.sums + 2 * (r * x.ldg + g);
      sums.fours[r] = _mm256_set1_epi32(zero == 0 ? 0 : -zero * (of_x[0] + of_x[1]));
      sums.pairs[r] = _mm256_setzero_si256();
    }
  }
  BINOCLE_EIGHT void StartHalf(EightSums<R>& sums, int64_t g, int half, int zero) const {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      sums.fours[r] = _mm256_set1_epi32(-zero * x.sums[2 * (r * x.ldg + g) + half]);
      sums.pairs[r] = _mm256_setzero_si256();
    }
  }
  BINOCLE_EIGHT __m256i Quad(int r, int64_t quad) const {
    int32_t four;
    std::memcpy(&four, x.x + r * x.ldx + 4 * quad, sizeof four);
    return _mm256_set1_epi32(four);
  }
  BINOCLE_EIGHT void Dot(EightSums<R>& sums, __m256i u, int64_t quad) const {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      sums.pairs[r] = _mm256_add_epi16(sums.pairs[r], _mm256_maddubs_epi16(u, Quad(r, quad)));
  }
  // Of signed bytes, as |w|·(±x): two of these fill 16 bits.
  BINOCLE_EIGHT void DotSigned(EightSums<R>& sums, __m256i w, int64_t quad) const {
    const __m256i size = _mm256_abs_epi8(w);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(Quad(r, quad), w));
      sums.fours[r] =
          _mm256_add_epi32(sums.fours[r], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
  }
  BINOCLE_EIGHT __m256 Scaled(__m256 factor) const {
    return scaled ? _mm256_mul_ps(factor, scale) : factor;
  }
  BINOCLE_EIGHT void Take(const EightSums<R>& sums, int64_t g, __m256 a) {
    a = Scaled(a);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const __m256 factor = _mm256_mul_ps(a, _mm256_set1_ps(x.scales[r * x.ldg + g]));
      chain[r] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(sums.fours[r]), chain[r]);
    }
  }
  BINOCLE_EIGHT void Shift(int64_t g, __m256 m) {
    m = Scaled(m);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      chain[r] = _mm256_fmadd_ps(m, _mm256_set1_ps(x.shifts[r * x.ldg + g]), chain[r]);
  }
};

// What a block of eight rows is worth of lines is brought meanwhile, in so many shares.
template <int64_t kBlockBytes, int64_t kShares>
BINOCLE_EIGHT void BringShare(RowsAhead::Cursor& ahead) {
  constexpr int64_t kBytes = kBlockBytes * 8;
  constexpr int64_t kLines = (kBytes + 64 * kShares - 1) / (64 * kShares);
  ahead.Fetch<kLines, (kBytes + kLines * kShares - 1) / (kLines * kShares)>();
}

template <int R>
BINOCLE_AVX2 void EightOfBytes(EightRows w, EightChains<R>& rows, RowsAhead::Cursor& ahead) {
  for (int64_t g = 0; g < rows.p.depth / kBlockGroup; ++g, w.Advance(34)) {
    EightSums<R> sums;
    rows.Start(sums, g, 0);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m256i piece[4];
      w.Turn(2 + 16 * half, piece);
      BringShare<34, 2>(ahead);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) rows.DotSigned(sums, piece[j], 8 * g + 4 * half + j);
    }
    rows.Take(sums, g, w.F16(0));
  }
}

// Sixteen where the bits 4·quad … 4·quad + 3 of a word are set, a byte for each.
BINOCLE_EIGHT __m256i FifthOfQuad(__m256i bits, int quad) {
  const __m256i of_word = _mm256_add_epi8(_mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C,
                                                            0, 0x04040404, 0x08080808, 0x0C0C0C0C),
                                          EightOf(quad / 2));
  const __m256i chosen =
      _mm256_set1_epi32(quad % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
  const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(bits, of_word), chosen);
  return _mm256_and_si256(_mm256_cmpeq_epi8(spread, chosen), EightOf(16));
}

// q4_0, q4_1, q5_0, q5_1: d, m (of two), fifth bits, nibbles.
template <int R, bool kShifted, bool kFifth>
BINOCLE_AVX2 void EightOfNibbles(EightRows w, EightChains<R>& rows, RowsAhead::Cursor& ahead) {
  constexpr int64_t kFifthAt = kShifted ? 4 : 2;
  constexpr int64_t kNibblesAt = kFifthAt + (kFifth ? 4 : 0);
  constexpr int64_t kBytes = kNibblesAt + 16;
  constexpr int kZero = kShifted ? 0 : kFifth ? 16 : 8;
  for (int64_t g = 0; g < rows.p.depth / kBlockGroup; ++g, w.Advance(kBytes)) {
    EightSums<R> sums;
    rows.Start(sums, g, kZero);
    const __m256i fifth = kFifth ? w.Words(kFifthAt) : _mm256_setzero_si256();
    __m256i piece[4];
    w.Turn(kNibblesAt, piece);
    BringShare<kBytes, 1>(ahead);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i low = FourBits(piece[j]);
      rows.Dot(sums, kFifth ? _mm256_or_si256(low, FifthOfQuad(fifth, j)) : low, 8 * g + j);
    }
    if (kFifth) sums.Flush();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i high = FourBits(_mm256_srli_epi16(piece[j], 4));
      rows.Dot(sums, kFifth ? _mm256_or_si256(high, FifthOfQuad(fifth, j + 4)) : high,
               8 * g + 4 + j);
    }
    sums.Flush();
    rows.Take(sums, g, w.F16(0));
    if (kShifted) rows.Shift(g, w.F16(2));
  }
}

// The first 16 bytes of q4_k and q5_k: d, e and the factors of eight groups, for which block_types.cc says where their bits are.
struct EightFactors {
  __m256 a[8];
  __m256 m[8];

  BINOCLE_EIGHT explicit EightFactors(const EightRows& w) {
    __m256i head[4];  // d | e, s of the first groups, t of the first groups, and the rest
    w.Turn(0, head);
    const __m256 d = w.F16(0), e = _mm256_xor_ps(w.F16(2), _mm256_set1_ps(-0.0F));
    const __m256i six = EightOf(63), upper = EightOf(0x30);
    const __m256i s[2] = {
        _mm256_and_si256(head[1], six),
        _mm256_or_si256(FourBits(head[3]), _mm256_and_si256(_mm256_srli_epi16(head[1], 2), upper))};
    const __m256i t[2] = {_mm256_and_si256(head[2], six),
                          _mm256_or_si256(FourBits(_mm256_srli_epi16(head[3], 4)),
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

// The bits of `mask` of every byte once it is moved down, four up again.
BINOCLE_EIGHT __m256i AboveFour(__m256i bytes, int down, int mask) {
  return _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(bytes, down), EightOf(mask)), 4);
}

template <int R, bool kFifth>
BINOCLE_AVX2 void EightOfPairs(EightRows w, EightChains<R>& rows, RowsAhead::Cursor& ahead) {
  constexpr int64_t kBytes = kFifth ? 176 : 144;  // q5_k, q4_k
  for (int64_t g = 0; g < rows.p.depth / kBlockGroup; w.Advance(kBytes)) {
    const EightFactors factors(w);
    __m256i fifth[2][4] = {};
    if (kFifth) {
      w.Turn(16, fifth[0]);
      w.Turn(32, fifth[1]);
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair, g += 2) {
      EightSums<R> even, odd;
      rows.Start(even, g, 0);
      rows.Start(odd, g + 1, 0);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m256i piece[4];
        w.Turn(kBytes - 128 + 32 * pair + 16 * half, piece);
        BringShare<kBytes, 8>(ahead);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          __m256i low = FourBits(piece[j]), high = FourBits(_mm256_srli_epi16(piece[j], 4));
          if (kFifth) {
            low = _mm256_or_si256(low, AboveFour(fifth[half][j], 2 * pair, 1));
            high = _mm256_or_si256(high, AboveFour(fifth[half][j], 2 * pair + 1, 1));
          }
          rows.Dot(even, low, 8 * g + 4 * half + j);
          rows.Dot(odd, high, 8 * g + 8 + 4 * half + j);
        }
        if (kFifth || half == 1) {
          even.Flush();
          odd.Flush();
        }
      }
      rows.Take(even, g, factors.a[2 * pair]);
      rows.Shift(g, factors.m[2 * pair]);
      rows.Take(odd, g + 1, factors.a[2 * pair + 1]);
      rows.Shift(g + 1, factors.m[2 * pair + 1]);
    }
  }
}

template <int R>
BINOCLE_AVX2 void EightOfQ6K(EightRows w, EightChains<R>& rows, RowsAhead::Cursor& ahead) {
  for (int64_t block = 0; block < rows.p.depth / kStripDepth; ++block, w.Advance(210)) {
    __m256i factors[4];
    w.Turn(192, factors);
    const __m256 d = w.F16(208);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {  // halves of the block, of four groups each
      EightSums<R> sums[4][2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m256i low[2][4], high[4];
        w.Turn(128 + 32 * i + 16 * half, high);
        w.Turn(64 * i + 16 * half, low[0]);
        BringShare<210, 4>(ahead);
        w.Turn(64 * i + 32 + 16 * half, low[1]);
#pragma GCC unroll 4
        for (int group = 0; group < 4; ++group) {
          const int64_t g = 8 * block + 4 * i + group;
          EightSums<R>& to = sums[group][half];
          rows.StartHalf(to, g, half, 32);
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) {
            const __m256i both = low[group % 2][j];
            const __m256i four = FourBits(group < 2 ? both : _mm256_srli_epi16(both, 4));
            rows.Dot(to, _mm256_or_si256(four, AboveFour(high[j], 2 * group, 3)),
                     8 * g + 4 * half + j);
            if (j % 2 == 1) to.Flush();
          }
        }
      }
#pragma GCC unroll 8
      for (int part = 0; part < 8; ++part) {
        const __m256i up = _mm256_slli_epi32(factors[2 * i + part / 4], 24 - part % 4 * 8);
        const __m256 a = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_srai_epi32(up, 24)));
        rows.Take(sums[part / 2][part % 2], 8 * block + 4 * i + part / 2, a);
      }
    }
  }
}

template <int R>
BINOCLE_AVX2 void EightFeatures(const DirectProduct& p, int64_t row, int64_t feature,
                                RowsAhead::Cursor& ahead) {
  EightChains<R> rows(p, row, feature);
  const EightRows w(p.w, feature);
  switch (p.dtype) {
    case DType::kQ80: EightOfBytes<R>(w, rows, ahead); break;
    case DType::kQ40: EightOfNibbles<R, false, false>(w, rows, ahead); break;
    case DType::kQ41: EightOfNibbles<R, true, false>(w, rows, ahead); break;
    case DType::kQ50: EightOfNibbles<R, false, true>(w, rows, ahead); break;
    case DType::kQ51: EightOfNibbles<R, true, true>(w, rows, ahead); break;
    case DType::kQ4K: EightOfPairs<R, false>(w, rows, ahead); break;
    case DType::kQ5K: EightOfPairs<R, true>(w, rows, ahead); break;
    case DType::kQ6K: EightOfQ6K<R>(w, rows, ahead); break;
    default: BINOCLE_CHECK(false, DTypeName(p.dtype));
  }
  rows.Store();
}

}  // namespace

// Every two rows of x pass the features' rows, which are in the second cache from the second time on.
void MultiplyDirectlyAvx2(const DirectProduct& p) {
  for (int64_t feature = 0; feature < kStripWidth; feature += 8) {
    RowsAhead::Cursor again = p.ahead;
    for (int64_t row = 0; row < p.rows; row += 2) {
      RowsAhead::Cursor& ahead = row == 0 ? p.ahead : again;
      p.rows - row == 1 ? EightFeatures<1>(p, row, feature, ahead)
                        : EightFeatures<2>(p, row, feature, ahead);
    }
  }
}

}  // namespace binocle

#endif
