#include <cstring>

#include "core/ops/block_rows.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

#define BINOCLE_DIRECT BINOCLE_VNNI __attribute__((always_inline)) inline

// Pieces of 16 bytes of 16 rows are turned as 4 × 4 words: 4 loads, 12 inserts and 8 shuffles for 256 bytes. With nibbles taken apart and products that
// is 40 vector instructions for the 288 bytes of 16 rows of q4_0, 20 cycles, which take a thread three times as long to read.
namespace binocle {
namespace {

BINOCLE_DIRECT __m512i ByteOf16(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }

// 16 rows that go along together.
struct RowCursor {
  const uint8_t* quarter[4];
  int64_t stride;
  int64_t three;
  __m512i offsets;

  BINOCLE_DIRECT explicit RowCursor(const EvenRows& rows)
      : stride(rows.stride),
        three(3 * rows.stride),
        offsets(_mm512_mullo_epi32(
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            _mm512_set1_epi32(static_cast<int>(rows.stride)))) {
    for (int i = 0; i < 4; ++i) quarter[i] = rows.first + 4 * i * rows.stride;
  }
  BINOCLE_DIRECT void Advance(int64_t bytes) {
    for (const uint8_t*& rows : quarter) rows += bytes;
  }
  BINOCLE_DIRECT __m128i Piece(int row, int64_t offset) const {
    const int64_t in_quarter = row % 4 == 0   ? 0
                               : row % 4 == 1 ? stride
                               : row % 4 == 2 ? 2 * stride
                                              : three;
    return _mm_loadu_si128(
        reinterpret_cast<const __m128i*>(quarter[row / 4] + in_quarter + offset));
  }
  // out[j] = bytes [offset + 4·j, offset + 4·j + 4) of each row.
  BINOCLE_DIRECT void Turn(int64_t offset, __m512i* out) const {
    __m512i z[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      z[i] = _mm512_castsi128_si512(Piece(i, offset));
      z[i] = _mm512_inserti32x4(z[i], Piece(i + 4, offset), 1);
      z[i] = _mm512_inserti32x4(z[i], Piece(i + 8, offset), 2);
      z[i] = _mm512_inserti32x4(z[i], Piece(i + 12, offset), 3);
    }
    const __m512i t0 = _mm512_unpacklo_epi32(z[0], z[1]), t1 = _mm512_unpackhi_epi32(z[0], z[1]);
    const __m512i t2 = _mm512_unpacklo_epi32(z[2], z[3]), t3 = _mm512_unpackhi_epi32(z[2], z[3]);
    out[0] = _mm512_unpacklo_epi64(t0, t2);
    out[1] = _mm512_unpackhi_epi64(t0, t2);
    out[2] = _mm512_unpacklo_epi64(t1, t3);
    out[3] = _mm512_unpackhi_epi64(t1, t3);
  }
  // Four bytes of each row.
  BINOCLE_DIRECT __m512i Words(int64_t offset) const {
    return _mm512_i32gather_epi32(offsets, quarter[0] + offset, 1);
  }
};

// f32 of the f16 in the lower or upper halves of words.
BINOCLE_DIRECT __m512 LowerF16(__m512i words) {
  return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
}
BINOCLE_DIRECT __m512 UpperF16(__m512i words) { return LowerF16(_mm512_srli_epi32(words, 16)); }

// Of few rows in two parts, for products of one part wait for each other.
template <int R>
struct DirectSums {
  static constexpr int kParts = R <= 2 ? 2 : 1;
  __m512i of[kParts][R];

  BINOCLE_DIRECT __m512i Whole(int r) const {
    return kParts == 1 ? of[0][r] : _mm512_add_epi32(of[0][r], of[kParts - 1][r]);
  }
  // Sums of upper nibbles where they are: sixteen times what they count for.
  BINOCLE_DIRECT void Lower() {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      of[0][r] = _mm512_srai_epi32(Whole(r), 4);
      of[kParts - 1][r] = kParts == 1 ? of[0][r] : _mm512_setzero_si512();
    }
  }
  BINOCLE_DIRECT void Add(const DirectSums& other) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) of[0][r] = _mm512_add_epi32(of[0][r], other.Whole(r));
  }
};

// The chains of R rows of x.
template <int R>
struct DirectRows {
  const DirectProduct& p;
  GroupedRows x;
  __m512 chain[R];
  __m512 scale;
  bool scaled;

  BINOCLE_DIRECT explicit DirectRows(const DirectProduct& product)
      : p(product), x(product.x), scale(_mm512_set1_ps(product.scale)), scaled(product.scale != 1) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      chain[r] = p.add ? _mm512_loadu_ps(p.c + r * p.ldc) : _mm512_setzero_ps();
  }
  BINOCLE_DIRECT void Store() const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) _mm512_storeu_ps(p.c + r * p.ldc, chain[r]);
  }

  // −zero·Σ b of group g, or of its half.
  template <int kZero>
  BINOCLE_DIRECT void Start(DirectSums<R>& sums, int64_t g) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int32_t* of_x = x.sums + 2 * (r * x.ldg + g);
      sums.of[DirectSums<R>::kParts - 1][r] = _mm512_setzero_si512();
      sums.of[0][r] =
          kZero == 0 ? _mm512_setzero_si512() : _mm512_set1_epi32(-kZero * (of_x[0] + of_x[1]));
    }
  }
  template <int kZero>
  BINOCLE_DIRECT void StartHalf(DirectSums<R>& sums, int64_t g, int half) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      sums.of[DirectSums<R>::kParts - 1][r] = _mm512_setzero_si512();
      sums.of[0][r] = _mm512_set1_epi32(-kZero * x.sums[2 * (r * x.ldg + g) + half]);
    }
  }
  // Four k, those of quad j after `first`, which is even.
  BINOCLE_DIRECT void Dot(DirectSums<R>& sums, __m512i u, int64_t first, int j) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      int32_t four;
      const int part = j % DirectSums<R>::kParts;
      std::memcpy(&four, x.x + r * x.ldx + 4 * (first + j), sizeof four);
      sums.of[part][r] = _mm512_dpbusd_epi32(sums.of[part][r], u, _mm512_set1_epi32(four));
    }
  }
  BINOCLE_DIRECT __m512 Scaled(__m512 factor) const {
    return scaled ? _mm512_mul_ps(factor, scale) : factor;
  }
  BINOCLE_DIRECT void Take(const DirectSums<R>& sums, int64_t g, __m512 a) {
    a = Scaled(a);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512 factor = _mm512_mul_ps(a, _mm512_set1_ps(x.scales[r * x.ldg + g]));
      chain[r] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(sums.Whole(r)), chain[r]);
    }
  }
  BINOCLE_DIRECT void Shift(int64_t g, __m512 m) {
    m = Scaled(m);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      chain[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(x.shifts[r * x.ldg + g]), chain[r]);
  }
};

// 16 rows of a block are brought in so many lines.
template <int64_t kBlockBytes>
constexpr int64_t kLinesOf = kBlockBytes < 64 ? (kBlockBytes* kStripWidth + 63) / 64
                                              : (kBlockBytes* kStripWidth + 511) / 512 * 8;
template <int64_t kBlockBytes>
constexpr int64_t kLineStep =
    (kBlockBytes * kStripWidth + kLinesOf<kBlockBytes> - 1) / kLinesOf<kBlockBytes>;

// Lines [count·i / of, count·(i + 1) / of) of a block's.
template <int64_t kBlockBytes, int64_t kShare, int64_t kShares>
BINOCLE_DIRECT void FetchShare(RowsAhead::Cursor& ahead) {
  constexpr int64_t kLines = kLinesOf<kBlockBytes>;
  ahead.Fetch<kLines*(kShare + 1) / kShares - kLines * kShare / kShares, kLineStep<kBlockBytes>>();
}

template <int R>
BINOCLE_VNNI void DirectBytes(const DirectProduct& p) {  // q8_0
  DirectRows<R> rows(p);
  RowCursor w(p.w);
  RowsAhead::Cursor ahead = p.ahead;
  for (int64_t g = 0; g < p.depth / kBlockGroup; ++g, w.Advance(34)) {
    DirectSums<R> sums;
    rows.template Start<128>(sums, g);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m512i piece[4];
      w.Turn(2 + 16 * half, piece);
      half == 0 ? FetchShare<34, 0, 2>(ahead) : FetchShare<34, 1, 2>(ahead);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        rows.Dot(sums, _mm512_xor_si512(piece[j], ByteOf16(0x80)), 8 * g, 4 * half + j);
    }
    rows.Take(sums, g, LowerF16(w.Words(0)));
  }
  p.ahead = ahead;
  rows.Store();
}

// Sixteen where the bits 4·quad … 4·quad + 3 of a word are set, a byte for each.
BINOCLE_DIRECT __m512i WithFifthBits(__m512i nibbles, __m512i bits, int quad) {
  const __m512i of_word =
      _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C)),
                      ByteOf16(quad / 2));
  const __m512i chosen =
      _mm512_set1_epi32(quad % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
  const __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, of_word), chosen);
  return _mm512_mask_add_epi8(nibbles, set, nibbles, ByteOf16(16));
}

// q4_0, q4_1, q5_0, q5_1: d, m (of two), fifth bits, nibbles.
template <int R, bool kShifted, bool kFifth>
BINOCLE_VNNI void DirectNibbles(const DirectProduct& p) {
  constexpr int64_t kFifthAt = kShifted ? 4 : 2;
  constexpr int64_t kNibblesAt = kFifthAt + (kFifth ? 4 : 0);
  constexpr int64_t kBytes = kNibblesAt + 16;
  constexpr int kZero = kShifted ? 0 : kFifth ? 16 : 8;
  DirectRows<R> rows(p);
  RowCursor w(p.w);
  RowsAhead::Cursor ahead = p.ahead;
  const __m512i four = ByteOf16(15);
  for (int64_t g = 0; g < p.depth / kBlockGroup; ++g, w.Advance(kBytes)) {
    DirectSums<R> sums, upper;
    rows.template Start<kZero>(sums, g);
    rows.template Start<0>(upper, g);
    const __m512i fifth = kFifth ? w.Words(kFifthAt) : _mm512_setzero_si512();
    const __m512i head = w.Words(0);
    __m512i piece[4];
    w.Turn(kNibblesAt, piece);
    FetchShare<kBytes, 0, 1>(ahead);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i low = _mm512_and_si512(piece[j], four);
      if (kFifth) {
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(piece[j], 4), four);
        rows.Dot(sums, WithFifthBits(low, fifth, j), 8 * g, j);
        rows.Dot(sums, WithFifthBits(high, fifth, j + 4), 8 * g + 4, j);
      } else {
        rows.Dot(sums, low, 8 * g, j);
        rows.Dot(upper, _mm512_andnot_si512(four, piece[j]), 8 * g + 4, j);
      }
    }
    if (!kFifth) {
      upper.Lower();
      sums.Add(upper);
    }
    rows.Take(sums, g, LowerF16(head));
    if (kShifted) rows.Shift(g, UpperF16(head));
  }
  p.ahead = ahead;
  rows.Store();
}

// The first 16 bytes of q4_k and q5_k: d, e and the factors of eight groups, for which block_types.cc says where their bits are.
struct DirectFactors {
  __m512 a[8];
  __m512 m[8];

  BINOCLE_DIRECT explicit DirectFactors(const RowCursor& w) {
    __m512i head[4];  // d | e, s of the first groups, t of the first groups, and the rest
    w.Turn(0, head);
    const __m512 d = LowerF16(head[0]);
    const __m512 e = _mm512_xor_ps(UpperF16(head[0]), _mm512_set1_ps(-0.0F));
    const __m512i six = ByteOf16(63), four = ByteOf16(15), upper = ByteOf16(0x30);
    const __m512i s[2] = {_mm512_and_si512(head[1], six),
                          _mm512_or_si512(_mm512_and_si512(head[3], four),
                                          _mm512_and_si512(_mm512_srli_epi16(head[1], 2), upper))};
    const __m512i t[2] = {_mm512_and_si512(head[2], six),
                          _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(head[3], 4), four),
                                          _mm512_and_si512(_mm512_srli_epi16(head[2], 2), upper))};
    const __m512i byte = _mm512_set1_epi32(0xFF);
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const auto down = static_cast<unsigned>(g % 4 * 8);
      const __m512i sg = _mm512_and_si512(_mm512_srli_epi32(s[g / 4], down), byte);
      const __m512i tg = _mm512_and_si512(_mm512_srli_epi32(t[g / 4], down), byte);
      a[g] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(sg));
      m[g] = _mm512_mul_ps(e, _mm512_cvtepi32_ps(tg));
    }
  }
};

// Bits of `upper` that are moved by 4 − at, above the four lower bits of `lower`.
template <int kAt>
BINOCLE_DIRECT __m512i WithUpperBits(__m512i lower, __m512i upper, __m512i mask) {
  const __m512i moved = kAt < 4   ? _mm512_slli_epi16(upper, kAt < 4 ? 4 - kAt : 0)
                        : kAt > 4 ? _mm512_srli_epi16(upper, kAt > 4 ? kAt - 4 : 0)
                                  : upper;
  return _mm512_and_si512(_mm512_ternarylogic_epi64(ByteOf16(15), lower, moved, 0xCA), mask);
}

template <int R, bool kFifth, int kPair>
BINOCLE_DIRECT void DirectPair(const RowCursor& w, const __m512i (&fifth)[2][4],
                               const DirectFactors& factors, int64_t g, RowsAhead::Cursor& ahead,
                               DirectRows<R>& rows) {
  constexpr int64_t kBytes = kFifth ? 176 : 144;
  constexpr int64_t kNibblesAt = kBytes - 128;
  const __m512i four = ByteOf16(15), five = ByteOf16(31);
  DirectSums<R> even, odd;
  rows.template Start<0>(even, g);
  rows.template Start<0>(odd, g);
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    __m512i piece[4];
    w.Turn(kNibblesAt + 32 * kPair + 16 * half, piece);
    half == 0 ? FetchShare<kBytes, 2 * kPair, 8>(ahead)
              : FetchShare<kBytes, 2 * kPair + 1, 8>(ahead);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      __m512i low, high;
      if (kFifth) {
        low = WithUpperBits<2 * kPair>(piece[j], fifth[half][j], five);
        high = WithUpperBits<2 * kPair + 1>(_mm512_srli_epi16(piece[j], 4), fifth[half][j], five);
      } else {
        low = _mm512_and_si512(piece[j], four);
        high = _mm512_andnot_si512(four, piece[j]);
      }
      rows.Dot(even, low, 8 * g, 4 * half + j);
      rows.Dot(odd, high, 8 * g + 8, 4 * half + j);
    }
  }
  if (!kFifth) odd.Lower();
  rows.Take(even, g, factors.a[2 * kPair]);
  rows.Shift(g, factors.m[2 * kPair]);
  rows.Take(odd, g + 1, factors.a[2 * kPair + 1]);
  rows.Shift(g + 1, factors.m[2 * kPair + 1]);
}

template <int R, bool kFifth>
BINOCLE_VNNI void DirectPairs(const DirectProduct& p) {  // q4_k, q5_k
  DirectRows<R> rows(p);
  RowCursor w(p.w);
  RowsAhead::Cursor ahead = p.ahead;
  for (int64_t g = 0; g < p.depth / kBlockGroup; g += 8, w.Advance(kFifth ? 176 : 144)) {
    const DirectFactors factors(w);
    __m512i fifth[2][4] = {};
    if (kFifth) {
      w.Turn(16, fifth[0]);
      w.Turn(32, fifth[1]);
    }
    DirectPair<R, kFifth, 0>(w, fifth, factors, g, ahead, rows);
    DirectPair<R, kFifth, 1>(w, fifth, factors, g + 2, ahead, rows);
    DirectPair<R, kFifth, 2>(w, fifth, factors, g + 4, ahead, rows);
    DirectPair<R, kFifth, 3>(w, fifth, factors, g + 6, ahead, rows);
  }
  p.ahead = ahead;
  rows.Store();
}

// Group kGroup of half a block of q6_k: nibbles and pairs of upper bits of 16 elements.
template <int R, int kGroup>
BINOCLE_DIRECT void DirectSixBits(const __m512i* low, const __m512i* high, int64_t quad,
                                  const DirectRows<R>& rows, DirectSums<R>& sums) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i nibbles = kGroup < 2 ? low[j] : _mm512_srli_epi16(low[j], 4);
    rows.Dot(sums, WithUpperBits<2 * kGroup>(nibbles, high[j], ByteOf16(63)), quad, j);
  }
}

template <int R>
BINOCLE_VNNI void DirectQ6K(const DirectProduct& p) {
  DirectRows<R> rows(p);
  RowCursor w(p.w);
  RowsAhead::Cursor ahead = p.ahead;
  for (int64_t block = 0; block < p.depth / kStripDepth; ++block, w.Advance(210)) {
    __m512i factors[4];
    w.Turn(192, factors);
    const __m512 d = UpperF16(w.Words(206));
    for (int i = 0; i < 2; ++i) {  // halves of the block, of four groups each
      const int64_t g = 8 * block + 4 * i;
      DirectSums<R> sums[4][2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m512i low[2][4], high[4];
        w.Turn(128 + 32 * i + 16 * half, high);
        w.Turn(64 * i + 16 * half, low[0]);
        FetchShare<210, 3, 8>(ahead);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) rows.template StartHalf<32>(sums[j][half], g + j, half);
        const int64_t quad = 8 * g + 4 * half;
        DirectSixBits<R, 0>(low[0], high, quad, rows, sums[0][half]);
        DirectSixBits<R, 2>(low[0], high, quad + 16, rows, sums[2][half]);
        w.Turn(64 * i + 32 + 16 * half, low[1]);
        FetchShare<210, 1, 8>(ahead);
        DirectSixBits<R, 1>(low[1], high, quad + 8, rows, sums[1][half]);
        DirectSixBits<R, 3>(low[1], high, quad + 24, rows, sums[3][half]);
      }
#pragma GCC unroll 8
      for (int part = 0; part < 8; ++part) {
        const __m512i up =
            _mm512_slli_epi32(factors[2 * i + part / 4], static_cast<unsigned>(24 - part % 4 * 8));
        const __m512 a = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_srai_epi32(up, 24)));
        rows.Take(sums[part / 2][part % 2], g + part / 2, a);
      }
    }
  }
  p.ahead = ahead;
  rows.Store();
}

template <int R>
void DirectRowsOf(const DirectProduct& p) {
  switch (p.dtype) {
    case DType::kQ80: return DirectBytes<R>(p);
    case DType::kQ40: return DirectNibbles<R, false, false>(p);
    case DType::kQ41: return DirectNibbles<R, true, false>(p);
    case DType::kQ50: return DirectNibbles<R, false, true>(p);
    case DType::kQ51: return DirectNibbles<R, true, true>(p);
    case DType::kQ4K: return DirectPairs<R, false>(p);
    case DType::kQ5K: return DirectPairs<R, true>(p);
    case DType::kQ6K: return DirectQ6K<R>(p);
    default: BINOCLE_CHECK(false, DTypeName(p.dtype));
  }
}

}  // namespace

void MultiplyDirectlyVnni(const DirectProduct& p) {
  switch (p.rows) {
    case 1: return DirectRowsOf<1>(p);
    case 2: return DirectRowsOf<2>(p);
    case 3: return DirectRowsOf<3>(p);
    case 4: return DirectRowsOf<4>(p);
    case 5: return DirectRowsOf<5>(p);
    case 6: return DirectRowsOf<6>(p);
    case 7: return DirectRowsOf<7>(p);
    default: return DirectRowsOf<8>(p);
  }
}

}  // namespace binocle

#endif
