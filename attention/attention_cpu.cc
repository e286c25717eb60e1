#include "attention/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <optional>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/attention_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "attention/elements-inl.h"
#include "attention/page_products-inl.h"
#include "attention/score_variants-inl.h"
#include "attention/segments-inl.h"
#include "core/simd/exp2-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);
inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

// The running state of a block: R = rows × heads, row-major by row, so that later rows see more keys.
struct OnlineSoftmax {
  int64_t stride;
  float* o;           // [R, stride], not yet divided by the sum
  float* s;           // [pages, R, 64] scores, then weights
  float* correction;  // [pages, R]
  float* shift;       // [R] taken from scores: their maximum, or up to kMostAbove less
  float* sums;        // [R, lanes], their total is the row's sum

  OnlineSoftmax(Carver& carver, int64_t value_stride)
      : stride(value_stride),
        o(carver.Take(kBlockRows * stride)),
        s(carver.Take(kBlockRows * kPageTokens)),
        correction(carver.Take(kBlockRows)),
        shift(carver.Take(kBlockRows)),
        sums(carver.Take(kBlockRows * kLanes)) {}

  // The same, of which row r is the first.
  OnlineSoftmax From(int64_t r) const {
    OnlineSoftmax rest = *this;
    rest.o += r * stride;
    rest.shift += r;
    rest.sums += r * kLanes;
    return rest;
  }
};

// Columns [begin, end) of a page: the keys that a row sees there.
struct Visible {
  int64_t begin;
  int64_t end;
};

// Keys that a row does not see score −∞.
HWY_INLINE void Hide(Visible visible, float* s) {
  for (int64_t j = 0; j < visible.begin; ++j) s[j] = kLowest;
  for (int64_t j = visible.end; j < kPageTokens; ++j) s[j] = kLowest;
}

// A row's shift moves only where a score is larger by more than this: weights of up to e^8 lose no digits and 3.5 of the 38 decimal orders
// that values may have, and nearly always one comparison shows that nothing moves.
inline constexpr float kMostAbove = 8;

using SumLanes = hn::Vec<hn::ScalableTag<float>>;

// s ← exp(s − shift), also as `weights` wants them. Moves the shift and the row's lanes of sums, and returns what o must be scaled by. Which
// pages move it depends on the row's scores alone.
template <typename Weights>
HWY_INLINE float SoftmaxStep(float* s, Weights weights, float& shift, SumLanes& sums) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto page_max = hn::Load(d, s);
#pragma GCC unroll 4
  for (int64_t j = lanes; j < kPageTokens; j += lanes)
    page_max = hn::Max(page_max, hn::Load(d, s + j));
  float correction = 1.0F;
  if (!hn::AllTrue(d, hn::Le(page_max, hn::Set(d, shift + kMostAbove)))) {
    const float moved = std::max(shift, hn::GetLane(hn::MaxOfLanes(d, page_max)));
    correction = std::exp2((shift - moved) * kLog2E);
    shift = moved;
  }
  if (shift == kLowest) {  // nothing but −∞ so far: exp(−∞ − −∞) would be NaN
    if (std::any_of(s, s + kPageTokens, [](float x) { return std::isnan(x); }))
      sums = hn::Set(d, NAN);
    std::fill(s, s + kPageTokens, 0.0F);
    weights.Clear();
    return 1.0F;
  }
  const auto from = hn::Set(d, shift), log2e = hn::Set(d, kLog2E);
  auto page_sum = hn::Zero(d);
#pragma GCC unroll 4
  for (int64_t j = 0; j < kPageTokens; j += lanes) {
    const auto p = Exp2(d, hn::Mul(hn::Sub(hn::Load(d, s + j), from), log2e));
    hn::Store(p, d, s + j);
    weights.Store(p, j);
    page_sum = hn::Add(page_sum, p);
  }
  sums = hn::MulAdd(sums, hn::Set(d, correction), page_sum);
  return correction;
}

HWY_INLINE float SumOf(const float* sums) {
  const hn::ScalableTag<float> d;
  return hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums)));
}

template <typename Variant, typename Pages>
class BlockKernel {
 public:
  BlockKernel(const AttentionBlock& b, const Variant& variant, const Pages& pages,
              const OnlineSoftmax& state, SegmentSums* segments)
      : b_(b),
        variant_(variant),
        d_(b.args->kv.head_dim),
        stride_(state.stride),
        window_(b.args->window),
        first_key_(b.run->first_key),
        state_(state),
        pages_(pages),
        segments_(segments) {}

  void Begin() { LoadQueries(); }

  // Every page from `first` on that a row of the block sees.
  void AttendFrom(int64_t first) {
    const int64_t seen =
        b_.args->mask == Mask::kCausal ? b_.run->first_position + b_.end : b_.run->keys;
    Attend(std::max(first, FirstSeen(b_.begin) / kPageTokens), PagesFor(seen));
  }

  // Pages [first, end), in stretches as long as their scores fit: with few rows, keys and then values are read in long runs. What is computed
  // does not depend on the stretches.
  void Attend(int64_t first, int64_t end) {
    // Many rows: what their scores become stays near. Few: reading is the work.
    const int64_t most = BlockRows(b_.args->kv.dtype, b_.level);
    const int64_t stretch = (2 * rows() > most ? most : kBlockRows) / rows();
    for (; first < end; first += stretch) {
      const int64_t pages = std::min(stretch, end - first);
      for (int64_t i = 0; i < pages; ++i) {
        if (i + 1 < pages) Prefetch(KeyBytes(first + i + 1), kPageStart);
        Scores(PageOf(first, i));
      }
      Weights(first, pages);
      for (int64_t i = 0; i < pages; ++i) {
        if (i + 1 < pages) Prefetch(ValueBytes(first + i + 1), kPageStart);
        Values(PageOf(first, i));
      }
    }
  }

  void End() { StoreResults(); }

 private:
  // A page of keys and values and its place in the stretch.
  struct Page {
    int64_t index;      // in the sequence
    int64_t first_key;  // index · 64
    int64_t r0, rows;   // rows [r0, r0 + rows) of the block see something of it
    float* s;           // [R, 64] scores, then weights
    float* correction;  // [R] what o is scaled by before the page is added
    int64_t place;      // of the first row's weights
  };

  // Where memory bounds, reading must not stop where pages meet, nor while scores become weights: 2 to 3 % of a decode step.
  static constexpr int64_t kPageStart = 256;  // bytes
  static constexpr int64_t kWhileWeighing =
      1024;  // bytes of the first values, for each page of scores

  static void Prefetch(const std::byte* from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) hwy::Prefetch(from + i);
  }
  const std::byte* KeyBytes(int64_t page) const {
    return b_.args->kv.key_bytes(b_.run->pages[static_cast<size_t>(page)], b_.kv_head);
  }
  const std::byte* ValueBytes(int64_t page) const {
    return b_.args->kv.value_bytes(b_.run->pages[static_cast<size_t>(page)], b_.kv_head);
  }

  int64_t rows() const { return (b_.end - b_.begin) * b_.heads; }

  Page PageOf(int64_t first, int64_t i) {
    const int64_t first_key = (first + i) * kPageTokens;
    int64_t begin = b_.begin;  // earlier rows see nothing of this page and are left alone
    while (begin < b_.end && VisibleOf(begin, first_key).end == 0) ++begin;
    return {.index = first + i,
            .first_key = first_key,
            .r0 = (begin - b_.begin) * b_.heads,
            .rows = (b_.end - begin) * b_.heads,
            .s = state_.s + i * rows() * kPageTokens,
            .correction = state_.correction + i * rows(),
            .place = i * rows()};
  }
  int32_t Stored(const Page& p) const { return b_.run->pages[static_cast<size_t>(p.index)]; }

  void LoadQueries() {
    int64_t r = 0;
    for (int64_t i = b_.begin; i < b_.end; ++i) {
      for (int64_t h = 0; h < b_.heads; ++h, ++r) {
        const int64_t at = (b_.first_head + h) * d_;
        HWY_ALIGN float row[kMaxHeadDim];
        ReadQuery(b_.args->q, b_.run->first_row + i, at, d_, row);
        Multiply(row, d_, b_.args->scale, row);
        pages_.SetQuery(r, row);
      }
    }
    std::fill_n(state_.shift, r, kLowest);
    std::memset(state_.sums, 0, static_cast<size_t>(r * kLanes) * sizeof(float));
    std::memset(state_.o, 0, static_cast<size_t>(r * stride_) * sizeof(float));
    if (segments_ != nullptr) segments_->Clear(r);
  }

  int64_t FirstSeen(int64_t row) const {
    if (window_ == 0) return first_key_;
    return std::max(first_key_, b_.run->first_position + row + 1 - window_);
  }

  Visible VisibleOf(int64_t row, int64_t first_key) const {
    const int64_t seen =
        b_.args->mask == Mask::kCausal ? b_.run->first_position + row + 1 : b_.run->keys;
    const int64_t end = std::clamp<int64_t>(seen - first_key, 0, kPageTokens);
    return {std::clamp<int64_t>(FirstSeen(row) - first_key, 0, end), end};
  }

  // S = Q·Kᵀ
  void Scores(const Page& p) { pages_.Scores(Stored(p), p.r0, p.rows, p.s); }

  // P = exp(variant(S) − shift), row by row: a row's shift and sums stay in registers over the stretch.
  void Weights(int64_t first, int64_t pages) {
    const hn::ScalableTag<float> d;
    int64_t r = 0;
    for (int64_t i = b_.begin; i < b_.end; ++i) {
      for (int64_t h = 0; h < b_.heads; ++h, ++r) {
        float shift = state_.shift[r];
        SumLanes sums = hn::Load(d, state_.sums + r * kLanes);
        for (int64_t page = 0; page < pages; ++page) {
          if (r == 0) Prefetch(ValueBytes(first) + page * kWhileWeighing, kWhileWeighing);
          const int64_t first_key = (first + page) * kPageTokens;
          const Visible visible = VisibleOf(i, first_key);
          if (visible.end == 0) break;
          float* s = state_.s + (page * rows() + r) * kPageTokens;
          ApplyVariant(variant_, b_.first_head + h, first_key, visible.end, s);
          Hide(visible, s);
          state_.correction[page * rows() + r] =
              SoftmaxStep(s, pages_.WeightsOf(page * rows() + r), shift, sums);
        }
        state_.shift[r] = shift;
        hn::Store(sums, d, state_.sums + r * kLanes);
      }
    }
  }

  // O = O·correction + P·V
  void Values(const Page& p) {
    Visible all = VisibleOf(b_.end - 1, p.first_key);  // of the last row, which sees most
    if (window_ > 0)                                   // or begins to see later than the first one
      all.begin = VisibleOf(b_.begin + p.r0 / b_.heads, p.first_key).begin;
    const auto values = pages_.ReadValues(Stored(p), all.end);
    for (int64_t r = p.r0; r < p.r0 + p.rows; ++r) {
      if (p.correction[r] == 1.0F) continue;
      float* o = state_.o + r * stride_;
      Multiply(o, stride_, p.correction[r], o);
      if (segments_ != nullptr) segments_->Rescale(r, p.correction[r]);
    }
    pages_.AddWeights(p.place,
                      {.p = p.s, .r0 = p.r0, .rows = p.rows, .begin = all.begin, .end = all.end},
                      values, state_.o);
    if (segments_ != nullptr)
      segments_->AddPage(pages_,
                         PageWeights<Pages>{p.s, values, p.first_key, all.end, p.r0, p.rows});
  }

  void StoreResults() {
    int64_t r = 0;
    for (int64_t i = b_.begin; i < b_.end; ++i) {
      const int64_t row = b_.run->first_row + i;
      for (int64_t h = 0; h < b_.heads; ++h, ++r) {
        const int64_t head = b_.first_head + h;
        float* out = b_.out.row(row) + head * d_;
        const float sum = SumOf(state_.sums + r * kLanes);
        const bool none = sum == 0;  // −∞ for every key
        const float inverse = none ? 0.0F : 1.0F / sum;
        Multiply(state_.o + r * stride_, d_, inverse, out);
        b_.lse.row(row)[head] = none ? kLowest : state_.shift[r] + std::log(sum);
        if (segments_ == nullptr) continue;
        const SegmentMasses m = segments_->Masses(r, inverse);
        const SegmentGains gains = segments_->Gains(m);
        if (gains != SegmentGains{} && !segments_->Apply(r, gains, inverse, d_, out))
          AttendAgain(i, r, gains, inverse, out);
        if (b_.run->segments->masses.empty()) continue;
        float* masses = b_.run->segments->masses.row(row) + 3 * head;
        masses[0] = m.content;
        masses[1] = m.visual_sink;
        masses[2] = m.text_sink;
      }
    }
  }

  // One row of the block with weights that are multiplied before the sum, for sinks whose values dwarf all others: rare, and as long
  // as a row of plain attention.
  void AttendAgain(int64_t i, int64_t r, const SegmentGains& gains, float inverse_sum, float* out) {
    float* o = state_.o + r * stride_;
    std::fill_n(o, stride_, 0.0F);
    for (int64_t index = FirstSeen(i) / kPageTokens;; ++index) {
      const Page p{.index = index,
                   .first_key = index * kPageTokens,
                   .r0 = r,
                   .rows = 1,
                   .s = state_.s,
                   .correction = nullptr,
                   .place = 0};
      const Visible visible = VisibleOf(i, p.first_key);
      if (visible.end == 0) break;
      Scores(p);
      float* s = p.s + r * kPageTokens;
      ApplyVariant(variant_, b_.first_head + r % b_.heads, p.first_key, visible.end, s);
      Hide(visible, s);
      for (int64_t j = 0; j < kPageTokens; ++j)
        s[j] = std::exp(s[j] - state_.shift[r]) * inverse_sum *
               (j < visible.end ? segments_->FactorOf(p.first_key + j, gains) : 1.0F);
      pages_.AddProduct({.p = p.s, .r0 = r, .rows = 1, .begin = visible.begin, .end = visible.end},
                        pages_.ReadValues(Stored(p), visible.end), state_.o);
    }
    std::copy_n(o, d_, out);
  }

  const AttentionBlock& b_;
  const Variant& variant_;
  int64_t d_, stride_;
  const int64_t window_, first_key_;
  const OnlineSoftmax state_;
  const Pages pages_;
  SegmentSums* const segments_;
};

inline constexpr PlainScore kPlainScore{};

template <typename Pages>
void RunsBlock(const AttentionBlock& b) {
  Carver carver(b.scratch);
  const Pages pages(b, carver);
  const OnlineSoftmax state(carver, Pages::Stride(b.args->kv.head_dim));
  std::optional<SegmentSums> segments;
  if (b.run->segments != nullptr) segments.emplace(*b.run->segments, state.stride, carver);
  std::visit(
      [&](const auto& variant) {
        BlockKernel<std::decay_t<decltype(variant)>, Pages> kernel(b, variant, pages, state,
                                                                   segments ? &*segments : nullptr);
        kernel.Begin();
        kernel.AttendFrom(0);
        kernel.End();
      },
      b.run->variant);
}

// Rows of several runs: together through the pages that they share, then each run through the rest of its own.
template <typename Pages>
void SharedBlock(const AttentionBlock& b) {
  Carver carver(b.scratch);
  const Pages pages(b, carver);
  const OnlineSoftmax state(carver, Pages::Stride(b.args->kv.head_dim));
  const auto each = [&](const auto& body) {
    int64_t r = 0;
    for (const QueryRun& run : b.together) {
      AttentionBlock own = b;
      own.run = &run;
      own.begin = 0;
      own.end = run.rows;
      BlockKernel<PlainScore, Pages> kernel(own, kPlainScore, pages.From(r), state.From(r),
                                            nullptr);
      body(kernel);
      r += run.rows * b.heads;
    }
    return r / b.heads;
  };
  const int64_t rows = each([](auto& kernel) { kernel.Begin(); });
  const int64_t keys = b.shared_pages * kPageTokens;
  const QueryRun shared{
      .rows = rows, .first_position = keys, .keys = keys, .pages = b.together[0].pages};
  AttentionBlock all = b;
  all.run = &shared;
  all.begin = 0;
  all.end = rows;
  BlockKernel<PlainScore, Pages>(all, kPlainScore, pages, state, nullptr).Attend(0, b.shared_pages);
  each([&](auto& kernel) {
    kernel.AttendFrom(b.shared_pages);
    kernel.End();
  });
}

template <typename Pages>
void BlockOf(const AttentionBlock& b) {
  b.together.empty() ? RunsBlock<Pages>(b) : SharedBlock<Pages>(b);
}

void Block(const AttentionBlock& b) {
  if (b.args->kv.dtype == DType::kF32 || b.level < CpuLevel::kBf16) return BlockOf<F32Pages>(b);
  const Bf16Products products(b.level);
  BlockOf<Bf16Pages>(b);
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(Block);
}  // namespace

int64_t AttentionScratch(int64_t head_dim, DType kv_dtype) {
  constexpr int64_t kMostLanes = 16;
  const int64_t depth = KeyRows(head_dim, kv_dtype);
  const int64_t stride = ValueRows(head_dim, kv_dtype);
  // Queries; of bf16 pages weights twice, a page and two rows; the running state; the sums of segments.
  int64_t floats = kBlockRows * depth;
  if (kv_dtype != DType::kF32)  // also what widened pages take
    floats += kPageTokens * std::max(depth, stride) + kBlockRows * kPageTokens +
              kPageTokens * stride / 2 + 2 * stride;
  floats += kBlockRows * (stride + kPageTokens + 2 + kMostLanes);
  floats += kPageTokens + kBlockRows * (kPageTokens + 2 * stride);
  return floats + Carver::kMostSlack;
}

void AttentionBlockCpu(const AttentionBlock& block) { HWY_DYNAMIC_DISPATCH(Block)(block); }
}  // namespace binocle
#endif  // HWY_ONCE
