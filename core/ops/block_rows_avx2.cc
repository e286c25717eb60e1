// Blocks for few rows of x without an instruction for bytes: eight features at a time. Pieces of 16 bytes of their rows are turned as 4 × 4 words, as
// block_rows_vnni.cc does with 16. Products of u and x are added in 16 bits for as long as they fit: of four bits over a whole group, of five over half
// of it, of six over a quarter.
#include <cstring>

#include "core/error.h"
#include "core/ops/block_bits_avx2.h"
#include "core/ops/block_rows.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

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
};

// Sums over k of eight features and R rows of x.
template <int R>
struct EightSums {
  __m256i fours[R];  // of four k
  __m256i pairs[R];  // of two, in 16 bits, not among `fours` yet

  BINOCLE_EIGHT void Flush() {
#pragma GCC unroll 2
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
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r)
      chain[r] = p.add ? _mm256_loadu_ps(c + r * p.ldc) : _mm256_setzero_ps();
  }
  BINOCLE_EIGHT void Store() const {
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) _mm256_storeu_ps(c + r * p.ldc, chain[r]);
  }

  // −zero·Σ b of group g, or of its half.
  BINOCLE_EIGHT void Start(EightSums<R>& sums, int64_t g, int zero) const {
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const int32_t* of_x = x.sums + 2 * (r * x.ldg + g);
      sums.fours[r] = _mm256_set1_epi32(zero == 0 ? 0 : -zero * (of_x[0] + of_x[1]));
      sums.pairs[r] = _mm256_setzero_si256();
    }
  }
  BINOCLE_EIGHT void StartHalf(EightSums<R>& sums, int64_t g, int half, int zero) const {
#pragma GCC unroll 2
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
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r)
      sums.pairs[r] = _mm256_add_epi16(sums.pairs[r], _mm256_maddubs_epi16(u, Quad(r, quad)));
  }
  BINOCLE_EIGHT void DotSigned(EightSums<R>& sums, __m256i w, int64_t quad) const {
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r)
      sums.fours[r] = _mm256_add_epi32(sums.fours[r], SignedFours(w, Quad(r, quad)));
  }
  BINOCLE_EIGHT __m256 Scaled(__m256 factor) const {
    return scaled ? _mm256_mul_ps(factor, scale) : factor;
  }
  BINOCLE_EIGHT void Take(const EightSums<R>& sums, int64_t g, __m256 a) {
    a = Scaled(a);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const __m256 factor = _mm256_mul_ps(a, _mm256_set1_ps(x.scales[r * x.ldg + g]));
      chain[r] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(sums.fours[r]), chain[r]);
    }
  }
  BINOCLE_EIGHT void Shift(int64_t g, __m256 m) {
    m = Scaled(m);
#pragma GCC unroll 2
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
      TurnEight(w, 2 + 16 * half, piece);
      BringShare<34, 2>(ahead);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) rows.DotSigned(sums, piece[j], 8 * g + 4 * half + j);
    }
    rows.Take(sums, g, HalvesAt(w, 0));
  }
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
    const __m256i fifth = kFifth ? WordsAt(w, kFifthAt) : _mm256_setzero_si256();
    __m256i piece[4];
    TurnEight(w, kNibblesAt, piece);
    BringShare<kBytes, 1>(ahead);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i low = LowNibbles(piece[j]);
      rows.Dot(sums, kFifth ? _mm256_or_si256(low, FifthBits(fifth, j)) : low, 8 * g + j);
    }
    if (kFifth) sums.Flush();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i high = HighNibbles(piece[j]);
      rows.Dot(sums, kFifth ? _mm256_or_si256(high, FifthBits(fifth, j + 4)) : high, 8 * g + 4 + j);
    }
    sums.Flush();
    rows.Take(sums, g, HalvesAt(w, 0));
    if (kShifted) rows.Shift(g, HalvesAt(w, 2));
  }
}

template <int R, bool kFifth>
BINOCLE_AVX2 void EightOfPairs(EightRows w, EightChains<R>& rows, RowsAhead::Cursor& ahead) {
  constexpr int64_t kBytes = kFifth ? 176 : 144;  // q5_k, q4_k
  for (int64_t g = 0; g < rows.p.depth / kBlockGroup; w.Advance(kBytes)) {
    const EightFactors factors(w);
    __m256i fifth[2][4] = {};
    if (kFifth) {
      TurnEight(w, 16, fifth[0]);
      TurnEight(w, 32, fifth[1]);
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair, g += 2) {
      EightSums<R> even, odd;
      rows.Start(even, g, 0);
      rows.Start(odd, g + 1, 0);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m256i piece[4];
        TurnEight(w, kBytes - 128 + 32 * pair + 16 * half, piece);
        BringShare<kBytes, 8>(ahead);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          __m256i low = LowNibbles(piece[j]), high = HighNibbles(piece[j]);
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
    TurnEight(w, 192, factors);
    const __m256 d = HalvesAt(w, 208);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {  // halves of the block, of four groups each
      EightSums<R> sums[4][2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m256i low[2][4], high[4];
        TurnEight(w, 128 + 32 * i + 16 * half, high);
        TurnEight(w, 64 * i + 16 * half, low[0]);
        BringShare<210, 4>(ahead);
        TurnEight(w, 64 * i + 32 + 16 * half, low[1]);
#pragma GCC unroll 4
        for (int group = 0; group < 4; ++group) {
          const int64_t g = 8 * block + 4 * i + group;
          EightSums<R>& to = sums[group][half];
          rows.StartHalf(to, g, half, 32);
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) {
            const __m256i both = low[group % 2][j];
            const __m256i four = group < 2 ? LowNibbles(both) : HighNibbles(both);
            rows.Dot(to, _mm256_or_si256(four, AboveFour(high[j], 2 * group, 3)),
                     8 * g + 4 * half + j);
            if (j % 2 == 1) to.Flush();
          }
        }
      }
#pragma GCC unroll 8
      for (int part = 0; part < 8; ++part) {
        const __m256 a = FactorOfSixteenth(factors, 8 * i + part, d);
        rows.Take(sums[part / 2][part % 2], 8 * block + 4 * i + part / 2, a);
      }
    }
  }
}

template <int R>
BINOCLE_AVX2 void EightFeatures(const DirectProduct& p, int64_t row, int64_t feature) {
  RowsAhead::Cursor ahead = p.ahead;
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
  p.ahead = ahead;
  rows.Store();
}

}  // namespace

// Every two rows of x pass the features' rows, which are in the second cache from the second time on; what each asks for ahead is the same.
void MultiplyDirectlyAvx2(const DirectProduct& p) {
  for (int64_t feature = 0; feature < kStripWidth; feature += 8) {
    const RowsAhead::Cursor begin = p.ahead;
    for (int64_t row = 0; row < p.rows; row += 2) {
      p.ahead = begin;
      p.rows - row == 1 ? EightFeatures<1>(p, row, feature) : EightFeatures<2>(p, row, feature);
    }
  }
}

}  // namespace binocle

#endif
