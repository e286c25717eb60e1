// The two products of attention with a page of keys and values, for what pages hold. A block of R rows × heads has
//
//   S [R, 64] = Q·Kᵀ              O [R, stride] += P·V
//
//   F32Pages    f32, by the panel kernel. Pages of bfloat16 are widened, and scaled queries rounded: for processors that do not multiply bfloat16,
//               where that takes less than widening them in every product
//   Bf16Pages   scaled queries and weights rounded to bfloat16, f32 sums, by core/ops/bf16_block.h at the caller's level
//
// Of both, what becomes of a row depends on that row and the page alone. Include after hwy/highway.h, once per target (Highway's
// foreach_target pattern).

#if defined(BINOCLE_ATTENTION_PAGE_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BINOCLE_ATTENTION_PAGE_PRODUCTS_INL_H_
#undef BINOCLE_ATTENTION_PAGE_PRODUCTS_INL_H_
#else
#define BINOCLE_ATTENTION_PAGE_PRODUCTS_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "attention/attention_cpu.h"
#include "attention/elements-inl.h"
#include "core/ops/bf16_block.h"
#include "core/ops/compact_rows.h"
#include "core/simd/panel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows [r0, r0 + rows) of a block's weights [R, 64], times the values of tokens [begin, end) of a page. Weights outside are 0 or those of tokens
// that lie in the page's visible part too.
struct WeightedTokens {
  const float* p;
  int64_t r0, rows;
  int64_t begin, end;
};

class F32Pages {
 public:
  static int64_t Stride(int64_t d) { return ValueStride(d); }

  F32Pages(const AttentionBlock& b, Carver& carver)
      : kv_(b.args->kv),
        kv_head_(b.kv_head),
        d_(kv_.head_dim),
        stride_(Stride(d_)),
        q_(carver.Take(kBlockRows * d_)),
        page_(kv_.dtype == DType::kF32 ? nullptr
                                       : carver.Take(kPageTokens * std::max(d_ + 1, stride_))) {}

  // The same, of which row r is the first.
  F32Pages From(int64_t r) const {
    F32Pages rest = *this;
    rest.q_ += r * d_;
    return rest;
  }

  // Row r's query, which this may change.
  void SetQuery(int64_t r, const float* scaled) const {
    float* q = q_ + r * d_;
    std::copy_n(scaled, d_, q);
    if (kv_.dtype == DType::kF32) return;
    for (int64_t i = 0; i < d_; ++i) q[i] = F32FromBf16(Bf16FromF32(q[i]).bits);
  }

  void Scores(int32_t page, int64_t r0, int64_t rows, float* s) const {
    Panel<Store::kOverwrite>({.a = q_ + r0 * d_,
                              .lda = d_,
                              .b = ReadKeyPage(kv_, page, kv_head_, page_),
                              .ldb = kPageTokens,
                              .c = s + r0 * kPageTokens,
                              .ldc = kPageTokens,
                              .depth = d_,
                              .columns = kPageTokens},
                             rows);
  }

  // Of a page's tokens [0, end): until the next call.
  using Values = const float*;
  Values ReadValues(int32_t page, int64_t /*end*/) const {
    return ReadValuePage(kv_, page, kv_head_, page_);
  }
  const float* ValueRow(Values values, int64_t token) const { return values + token * stride_; }
  static float Weight(float p) { return p; }  // what AddProduct multiplies with

  // For a softmax that leaves the weights of a row, the n-th of a stretch, where it found the scores.
  struct NoCopy {
    void Clear() const {}
    template <typename V>
    void Store(V /*p*/, int64_t /*j*/) const {}
  };
  NoCopy WeightsOf(int64_t /*n*/) const { return {}; }
  void AddWeights(int64_t /*n*/, const WeightedTokens& w, Values values, float* o) const {
    AddProduct(w, values, o);
  }

  void AddProduct(const WeightedTokens& w, Values values, float* o) const {
    const int64_t width = w.rows == 1 ? stride_ : kPanel;  // one row reads values in their order
    for (int64_t c = 0; c < stride_; c += width) {
      Panel<Store::kAdd>({.a = w.p + w.r0 * kPageTokens + w.begin,
                          .lda = kPageTokens,
                          .b = values + w.begin * stride_ + c,
                          .ldb = stride_,
                          .c = o + w.r0 * stride_ + c,
                          .ldc = stride_,
                          .depth = w.end - w.begin,
                          .columns = std::min(width, stride_ - c)},
                         w.rows);
    }
  }

 private:
  const KvLayer& kv_;
  int64_t kv_head_, d_, stride_;
  float* q_;     // [R, d]
  float* page_;  // keys, then values, of bf16 pages
};

class Bf16Pages {
 public:
  static int64_t Stride(int64_t d) { return ValueRows(d, DType::kBF16); }

  Bf16Pages(const AttentionBlock& b, Carver& carver)
      : kv_(b.args->kv),
        kv_head_(b.kv_head),
        level_(b.level),
        d_(kv_.head_dim),
        depth_(KeyRows(d_, DType::kBF16)),
        stride_(Stride(d_)),
        q_(reinterpret_cast<Bf16*>(carver.Take(kBlockRows * depth_ / 2))),
        weights_(reinterpret_cast<Bf16*>(carver.Take(kBlockRows * kPageTokens / 2))),
        others_(reinterpret_cast<Bf16*>(carver.Take(kBlockRows * kPageTokens / 2))),
        last_page_(reinterpret_cast<Bf16*>(carver.Take(kPageTokens * stride_ / 2))),
        row_(carver.Take(2 * stride_)) {}

  Bf16Pages From(int64_t r) const {
    Bf16Pages rest = *this;
    rest.q_ += r * depth_;
    return rest;
  }

  void SetQuery(int64_t r, const float* scaled) const {
    RowAsBf16(scaled, d_, depth_, q_ + r * depth_);
  }

  void Scores(int32_t page, int64_t r0, int64_t rows, float* s) const {
    MultiplyBf16Block(level_, {.x = q_ + r0 * depth_,
                               .ldx = depth_,
                               .w = kv_.key_page<Bf16>(page, kv_head_),
                               .c = s + r0 * kPageTokens,
                               .ldc = kPageTokens,
                               .rows = rows,
                               .depth = depth_,
                               .add = false});
  }

  using Values = const Bf16*;
  // Products take tokens by 32. What lies behind the last one is another sequence's or nobody's, and 0 times that need not be 0.
  Values ReadValues(int32_t page, int64_t end) const {
    const Bf16* stored = kv_.value_page<Bf16>(page, kv_head_);
    if (end % kBf16Depth == 0) return stored;
    const int64_t whole = end / 2 * 128, padded = (end + 31) / 32 * 32 * 64;
    for (int64_t at = 0; at < stride_ * kPageTokens; at += 64 * kPageTokens) {
      std::memcpy(last_page_ + at, stored + at, static_cast<size_t>(padded) * sizeof(Bf16));
      if (end % 2 == 1) {
        for (int64_t i = 0; i < 64; ++i) last_page_[at + whole + 2 * i + 1] = {0};
      }
      std::fill(last_page_ + at + (end + 1) / 2 * 128, last_page_ + at + padded, Bf16{0});
    }
    return last_page_;
  }
  // Halves go up, which takes less than to nearest even and is the same for what is not halfway.
  static float Weight(float p) {
    return std::bit_cast<float>((std::bit_cast<uint32_t>(p) + 0x8000u) & 0xFFFF0000u);
  }

  // Where the softmax puts the rounded weights of a row, the n-th of a stretch.
  struct Rounded {
    uint16_t* row;

    void Clear() const { std::fill_n(row, kPageTokens, uint16_t{0}); }
    HWY_INLINE void Store(hn::Vec<hn::ScalableTag<float>> p, int64_t j) const {
      const hn::ScalableTag<float> d;
      const hn::Rebind<uint32_t, decltype(d)> d32;
      const hn::Rebind<uint16_t, decltype(d)> d16;
      const auto bits = hn::Add(hn::BitCast(d32, p), hn::Set(d32, 0x8000u));
      hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(bits)), d16, row + j);
    }
  };
  Rounded WeightsOf(int64_t n) const {
    return {reinterpret_cast<uint16_t*>(weights_ + n * kPageTokens)};
  }
  // Until the next call.
  const float* ValueRow(Values values, int64_t token) const {
    for (int64_t i = 0; i < stride_; i += 64) {
      WidenPairs(values + PairedValueIndex(token / 2 * 2, i), 64, row_ + i, row_ + stride_ + i);
    }
    return row_ + token % 2 * stride_;
  }

  // With the weights that the softmax left, the first of them the n-th row's.
  void AddWeights(int64_t n, const WeightedTokens& w, Values values, float* o) const {
    Multiply(weights_ + (n + w.r0) * kPageTokens, w, values, o);
  }
  void AddProduct(const WeightedTokens& w, Values values, float* o) const {
    const hn::ScalableTag<float> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t r = 0; r < w.rows; ++r) {
      const Rounded to{reinterpret_cast<uint16_t*>(others_ + r * kPageTokens)};
      for (int64_t j = 0; j < kPageTokens; j += lanes)
        to.Store(hn::Load(d, w.p + (w.r0 + r) * kPageTokens + j), j);
    }
    Multiply(others_, w, values, o);
  }

 private:
  void Multiply(const Bf16* rows, const WeightedTokens& w, Values values, float* o) const {
    const int64_t first = w.begin / kBf16Depth * kBf16Depth;
    const int64_t depth = (w.end - first + kBf16Depth - 1) / kBf16Depth * kBf16Depth;
    for (int64_t c = 0; c < stride_; c += 64) {
      MultiplyBf16Block(level_, {.x = rows + first,
                                 .ldx = kPageTokens,
                                 .w = values + PairedValueIndex(first, c),
                                 .c = o + w.r0 * stride_ + c,
                                 .ldc = stride_,
                                 .rows = w.rows,
                                 .depth = depth,
                                 .add = true});
    }
  }

  const KvLayer& kv_;
  int64_t kv_head_;
  CpuLevel level_;
  int64_t d_, depth_, stride_;
  Bf16* q_;          // [R, depth]
  Bf16* weights_;    // [stretch, R, 64]
  Bf16* others_;     // [R, 64] weights that the softmax did not leave
  Bf16* last_page_;  // values, 0 from the end on
  float* row_;       // [2, stride]
};

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // BINOCLE_ATTENTION_PAGE_PRODUCTS_INL_H_
