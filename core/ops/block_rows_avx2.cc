// Weights in block types for few rows of x without an instruction for bytes: rows of blocks are read one after the other, as they lie in memory, which is
// what processors bring ahead by themselves. A feature's sums over its groups are made first; those of eight features are turned then, and continue
// their chains side by side.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/ops/block_rows.h"
#include "core/simd/x86.h"

#if defined(__x86_64__)

#define BINOCLE_BY_ROW BINOCLE_AVX2 __attribute__((always_inline)) inline

namespace binocle {
namespace {

constexpr int kSideBySide = 8;         // features
constexpr int64_t kEight = 8;          // groups, of 256 k
constexpr int64_t kChunkDepth = 4096;  // k of a feature before those of the next one
constexpr int64_t kChunkGroups = kChunkDepth / kBlockGroup;
constexpr int64_t kReadAhead = 1024;  // bytes

// What a chunk of eight features has come to.
template <int R>
struct ChunkSums {
  alignas(32) float a[kSideBySide][2 * kChunkGroups];  // of groups or of their halves
  alignas(32) float m[kSideBySide][kChunkGroups];
  alignas(32) int32_t sums[R][kSideBySide][2 * kChunkGroups];
};

BINOCLE_BY_ROW __m256i Bytes32(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
BINOCLE_BY_ROW __m256i All(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
BINOCLE_BY_ROW float HalfAt(const uint8_t* from) {
  uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
}

// Products of 32 k, four to a lane. Two products of bytes are added in 16 bits, where u has six bits; of eight signed bits, |w|·(±x) fits.
BINOCLE_BY_ROW __m256i Fours(__m256i pairs) {
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
struct UnsignedBytes {
  __m256i u;
  BINOCLE_BY_ROW explicit UnsignedBytes(__m256i bytes) : u(bytes) {}
  BINOCLE_BY_ROW __m256i Times(__m256i x) const { return Fours(_mm256_maddubs_epi16(u, x)); }
};
struct SignedBytes {
  __m256i w, size;
  BINOCLE_BY_ROW explicit SignedBytes(__m256i bytes) : w(bytes), size(_mm256_abs_epi8(bytes)) {}
  BINOCLE_BY_ROW __m256i Times(__m256i x) const {
    return Fours(_mm256_maddubs_epi16(size, _mm256_sign_epi8(x, w)));
  }
};

// The sums of both halves of four vectors: of the first halves, then of the second ones.
BINOCLE_BY_ROW __m256i HalfSums(const __m256i* four) {
  return _mm256_hadd_epi32(_mm256_hadd_epi32(four[0], four[1]),
                           _mm256_hadd_epi32(four[2], four[3]));
}
BINOCLE_BY_ROW __m256i WholeSums(const __m256i* eight) {
  const __m256i first = HalfSums(eight), last = HalfSums(eight + 4);
  return _mm256_add_epi32(_mm256_permute2x128_si256(first, last, 0x20),
                          _mm256_permute2x128_si256(first, last, 0x31));
}

// Eight groups of R rows of x.
template <int R>
struct EightGroups {
  const GroupedRows& x;
  int64_t first;  // group
  __m256i products[R][kEight];

  template <typename Weights>
  BINOCLE_BY_ROW void Multiply(int64_t i, const Weights& w) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      products[r][i] = w.Times(Bytes32(x.x + r * x.ldx + (first + i) * kBlockGroup));
  }
  BINOCLE_BY_ROW void Clear(int64_t i) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) products[r][i] = _mm256_setzero_si256();
  }
  // Σ (u − 2^shift)·x; 1 << 0 stands for no offset. `of_x` reads sums of x, which end with the last group.
  template <int kZero>
  BINOCLE_BY_ROW void StoreWhole(int64_t count, int64_t at, ChunkSums<R>& to, int n) const {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      __m256i sums = WholeSums(products[r]);
      if (kZero != 0) {
        alignas(32) int32_t of_x[2 * kEight] = {};
        std::memcpy(of_x, x.sums + 2 * (r * x.ldg + first),
                    static_cast<size_t>(2 * count) * sizeof(int32_t));
        const __m256i both = _mm256_permute4x64_epi64(
            _mm256_hadd_epi32(Bytes32(of_x), Bytes32(of_x + kEight)), 0xD8);
        sums = _mm256_sub_epi32(sums, _mm256_mullo_epi32(both, _mm256_set1_epi32(kZero)));
      }
      _mm256_store_si256(reinterpret_cast<__m256i*>(to.sums[r][n] + at), sums);
    }
  }
  template <int kZero>
  BINOCLE_BY_ROW void StoreHalves(int64_t at, ChunkSums<R>& to, int n) const {
    const __m256i in_turn = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const int32_t* of_x = x.sums + 2 * (r * x.ldg + first);
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const __m256i sums = _mm256_permutevar8x32_epi32(HalfSums(products[r] + 4 * i), in_turn);
        const __m256i offset =
            _mm256_mullo_epi32(Bytes32(of_x + kEight * i), _mm256_set1_epi32(kZero));
        _mm256_store_si256(reinterpret_cast<__m256i*>(to.sums[r][n] + at + kEight * i),
                           _mm256_sub_epi32(sums, offset));
      }
    }
  }
};

// 16 where a bit is set, a byte for each of 32.
BINOCLE_BY_ROW __m256i FifthOf(const uint8_t* bits) {
  int32_t word;
  std::memcpy(&word, bits, sizeof word);
  const __m256i byte =
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i chosen = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  const __m256i spread =
      _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), byte), chosen);
  return _mm256_and_si256(_mm256_cmpeq_epi8(spread, chosen), All(16));
}

// Types of 32 elements: `Block` has kBytes, kZero, kShifted (m is the second f16) and Weights of the bytes behind.
struct Q80 {
  static constexpr int64_t kBytes = 34;
  static constexpr int kZero = 0;
  static constexpr bool kShifted = false;
  BINOCLE_BY_ROW static SignedBytes Weights(const uint8_t* block) {
    return SignedBytes(Bytes32(block + 2));
  }
};
template <bool kWithM, bool kFifth>
struct Nibbles {
  static constexpr int64_t kFifthAt = kWithM ? 4 : 2;
  static constexpr int64_t kNibblesAt = kFifthAt + (kFifth ? 4 : 0);
  static constexpr int64_t kBytes = kNibblesAt + 16;
  static constexpr int kZero = kWithM ? 0 : kFifth ? 16 : 8;
  static constexpr bool kShifted = kWithM;
  BINOCLE_BY_ROW static UnsignedBytes Weights(const uint8_t* block) {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + kNibblesAt));
    const __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(packed), _mm_srli_epi16(packed, 4), 1);
    const __m256i nibbles = _mm256_and_si256(both, All(15));
    return UnsignedBytes(kFifth ? _mm256_or_si256(nibbles, FifthOf(block + kFifthAt)) : nibbles);
  }
};

// `groups` of feature n, whose blocks begin at w.
template <int R, typename Block>
BINOCLE_AVX2 void SumBlocks(const uint8_t* w, const GroupedRows& x, int64_t groups, int n,
                            ChunkSums<R>& to) {
  EightGroups<R> eight{.x = x};
  for (int64_t g = 0; g < groups; g += kEight) {
    const int64_t count = std::min(kEight, groups - g);
    eight.first = g;
#pragma GCC unroll 8
    for (int64_t i = 0; i < kEight; ++i) {
      if (i >= count) {
        eight.Clear(i);
        continue;
      }
      const uint8_t* block = w + (g + i) * Block::kBytes;
      __builtin_prefetch(block + kReadAhead);
      eight.Multiply(i, Block::Weights(block));
      to.a[n][g + i] = HalfAt(block);
      if (Block::kShifted) to.m[n][g + i] = HalfAt(block + 2);
    }
    eight.template StoreWhole<Block::kZero>(count, g, to, n);
  }
}

// Fours of bytes of a word, as f32.
BINOCLE_BY_ROW __m256 FloatsOf(const uint8_t* eight) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight))));
}

// q4_k, q5_k: a block is eight groups, whose factors block_types.cc explains.
template <int R, bool kFifth>
BINOCLE_AVX2 void SumPairs(const uint8_t* w, const GroupedRows& x, int64_t groups, int n,
                           ChunkSums<R>& to) {
  constexpr int64_t kNibblesAt = kFifth ? 48 : 16;
  EightGroups<R> eight{.x = x};
  for (int64_t g = 0; g < groups; g += kEight, w += kNibblesAt + 128) {
    eight.first = g;
    uint8_t s[8], t[8];
    for (int i = 0; i < 4; ++i) {
      const int lower = w[4 + i], upper = w[8 + i], rest = w[12 + i];
      s[i] = lower & 63;
      t[i] = upper & 63;
      s[4 + i] = static_cast<uint8_t>((rest & 15) | (lower >> 6 << 4));
      t[4 + i] = static_cast<uint8_t>((rest >> 4) | (upper >> 6 << 4));
    }
    const __m256 minus = _mm256_set1_ps(-0.0F);
    _mm256_store_ps(to.a[n] + g, _mm256_mul_ps(_mm256_set1_ps(HalfAt(w)), FloatsOf(s)));
    _mm256_store_ps(to.m[n] + g, _mm256_xor_ps(minus, _mm256_mul_ps(_mm256_set1_ps(HalfAt(w + 2)),
                                                                    FloatsOf(t))));
    const __m256i fifth = kFifth ? Bytes32(w + 16) : _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair) {
      const uint8_t* nibbles = w + kNibblesAt + 32 * pair;
      __builtin_prefetch(nibbles + kReadAhead);
      const __m256i both = Bytes32(nibbles);
      __m256i low = _mm256_and_si256(both, All(15));
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), All(15));
      if (kFifth) {
        const __m256i bits = _mm256_srli_epi16(fifth, 2 * pair);
        low = _mm256_or_si256(low, _mm256_slli_epi16(_mm256_and_si256(bits, All(1)), 4));
        high = _mm256_or_si256(high, _mm256_slli_epi16(_mm256_and_si256(bits, All(2)), 3));
      }
      eight.Multiply(2 * pair, UnsignedBytes(low));
      eight.Multiply(2 * pair + 1, UnsignedBytes(high));
    }
    eight.template StoreWhole<0>(kEight, g, to, n);
  }
}

template <int R>
BINOCLE_AVX2 void SumQ6K(const uint8_t* w, const GroupedRows& x, int64_t groups, int n,
                         ChunkSums<R>& to) {
  EightGroups<R> eight{.x = x};
  for (int64_t g = 0; g < groups; g += kEight, w += 210) {
    eight.first = g;
    const __m256 d = _mm256_set1_ps(HalfAt(w + 208));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const __m256i factors =
          _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(w + 192 + 8 * i)));
      _mm256_store_ps(to.a[n] + 2 * g + 8 * i, _mm256_mul_ps(d, _mm256_cvtepi32_ps(factors)));
      const __m256i first = Bytes32(w + 64 * i), second = Bytes32(w + 64 * i + 32);
      const __m256i upper = Bytes32(w + 128 + 32 * i);
      __builtin_prefetch(w + 64 * i + kReadAhead);
      __builtin_prefetch(w + 128 + 32 * i + kReadAhead);
#pragma GCC unroll 4
      for (int group = 0; group < 4; ++group) {
        const __m256i both = group % 2 == 0 ? first : second;
        const __m256i low =
            _mm256_and_si256(group < 2 ? both : _mm256_srli_epi16(both, 4), All(15));
        const __m256i bits = _mm256_and_si256(_mm256_srli_epi16(upper, 2 * group), All(3));
        eight.Multiply(4 * i + group,
                       UnsignedBytes(_mm256_or_si256(low, _mm256_slli_epi16(bits, 4))));
      }
    }
    eight.template StoreHalves<32>(2 * g, to, n);
  }
}

template <int R>
void SumFeature(DType dtype, const uint8_t* w, const GroupedRows& x, int64_t groups, int n,
                ChunkSums<R>& to) {
  switch (dtype) {
    case DType::kQ80: return SumBlocks<R, Q80>(w, x, groups, n, to);
    case DType::kQ40: return SumBlocks<R, Nibbles<false, false>>(w, x, groups, n, to);
    case DType::kQ41: return SumBlocks<R, Nibbles<true, false>>(w, x, groups, n, to);
    case DType::kQ50: return SumBlocks<R, Nibbles<false, true>>(w, x, groups, n, to);
    case DType::kQ51: return SumBlocks<R, Nibbles<true, true>>(w, x, groups, n, to);
    case DType::kQ4K: return SumPairs<R, false>(w, x, groups, n, to);
    case DType::kQ5K: return SumPairs<R, true>(w, x, groups, n, to);
    case DType::kQ6K: return SumQ6K<R>(w, x, groups, n, to);
    default: BINOCLE_CHECK(false, DTypeName(dtype));
  }
}

// v[i] = element i of each of eight rows, `stride` floats apart.
BINOCLE_BY_ROW void TurnEight(const float* rows, int64_t stride, __m256* v) {
  __m256 t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    const __m256 even = _mm256_load_ps(rows + i * stride);
    const __m256 odd = _mm256_load_ps(rows + (i + 1) * stride);
    t[i] = _mm256_unpacklo_ps(even, odd);
    t[i + 1] = _mm256_unpackhi_ps(even, odd);
  }
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const __m256 a = t[half], b = t[half + 2], c = t[half + 4], d = t[half + 6];
    const __m256 ab = _mm256_shuffle_ps(a, b, 0x44), ab2 = _mm256_shuffle_ps(a, b, 0xEE);
    const __m256 cd = _mm256_shuffle_ps(c, d, 0x44), cd2 = _mm256_shuffle_ps(c, d, 0xEE);
    v[2 * half] = _mm256_permute2f128_ps(ab, cd, 0x20);
    v[2 * half + 4] = _mm256_permute2f128_ps(ab, cd, 0x31);
    v[2 * half + 1] = _mm256_permute2f128_ps(ab2, cd2, 0x20);
    v[2 * half + 5] = _mm256_permute2f128_ps(ab2, cd2, 0x31);
  }
}
BINOCLE_BY_ROW void TurnEight(const int32_t* rows, int64_t stride, __m256* v) {
  TurnEight(reinterpret_cast<const float*>(rows), stride, v);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) v[i] = _mm256_cvtepi32_ps(_mm256_castps_si256(v[i]));
}

// The chains of eight features go on over a chunk.
template <int R>
BINOCLE_AVX2 void Chain(const ChunkSums<R>& chunk, const RowProduct& p, const GroupedRows& x,
                        int64_t groups, bool add, float* c) {
  const BlockForm form = FormOf(p.dtype);
  const int64_t parts = form.halves ? 2 : 1;
  const __m256 scale = _mm256_set1_ps(p.scale);
  const bool scaled = p.scale != 1;
  __m256 chain[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) chain[r] = add ? _mm256_loadu_ps(c + r * p.ldc) : _mm256_setzero_ps();
  for (int64_t at = 0; at < groups * parts; at += kEight) {
    __m256 a[kEight], m[kEight], sums[R][kEight];
    TurnEight(chunk.a[0] + at, 2 * kChunkGroups, a);
    if (form.shifted) TurnEight(chunk.m[0] + at, kChunkGroups, m);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) TurnEight(chunk.sums[r][0] + at, 2 * kChunkGroups, sums[r]);
    const int64_t count = std::min(kEight, groups * parts - at);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t g = (at + i) / parts;
      const __m256 of_part = scaled ? _mm256_mul_ps(a[i], scale) : a[i];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const __m256 factor = _mm256_mul_ps(of_part, _mm256_set1_ps(x.scales[r * x.ldg + g]));
        chain[r] = _mm256_fmadd_ps(factor, sums[r][i], chain[r]);
      }
      if (!form.shifted) continue;
      const __m256 shift = scaled ? _mm256_mul_ps(m[i], scale) : m[i];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
        chain[r] = _mm256_fmadd_ps(shift, _mm256_set1_ps(x.shifts[r * x.ldg + g]), chain[r]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) _mm256_storeu_ps(c + r * p.ldc, chain[r]);
}

template <int R>
void RowsByRow(const RowProduct& p, int64_t row) {
  ChunkSums<R> chunk;
  float* c = p.c + row * p.ldc;
  for (int64_t n = 0; n < kStripWidth; n += kSideBySide) {
    for (int64_t k = 0; k < p.depth; k += kChunkDepth) {
      const int64_t groups = std::min(kChunkDepth, p.depth - k) / kBlockGroup;
      const GroupedRows x = p.x.From(row, k / kBlockGroup);
      for (int i = 0; i < kSideBySide; ++i)
        SumFeature<R>(p.dtype, p.w.row[n + i] + StoredBytes(p.dtype, k), x, groups, i, chunk);
      Chain<R>(chunk, p, x, groups, p.add || k > 0, c + n);
    }
  }
}

}  // namespace

void MultiplyRowByRow(const RowProduct& p) {
  int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) RowsByRow<4>(p, row);
  switch (p.rows - row) {
    case 1: return RowsByRow<1>(p, row);
    case 2: return RowsByRow<2>(p, row);
    case 3: return RowsByRow<3>(p, row);
    default: return;
  }
}

}  // namespace binocle

#else

namespace binocle {

void MultiplyRowByRow(const RowProduct& /*product*/) {
  BINOCLE_CHECK(false, "only x86 has such a level");
}

}  // namespace binocle

#endif
