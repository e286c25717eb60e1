#include "attention/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/attention_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "attention/elements-inl.h"
#include "attention/score_variants-inl.h"
#include "attention/segments-inl.h"
#include "core/simd/exp2-inl.h"
#include "core/simd/panel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

// The running state of a block: R = rows × heads, row-major by row, so that later rows see more keys.
struct OnlineSoftmax {
  alignas(64) float q[kBlockRows * kMaxHeadDim];  // [R, d], scaled
  alignas(64) float o[kBlockRows * kMaxHeadDim];  // [R, stride], not yet divided by the sum
  alignas(64) float s[kBlockRows * kPageTokens];  // [R, 64] scores, then weights
  float max[kBlockRows];
  float sum[kBlockRows];
};

// Columns [begin, end) of a page: the keys that a row sees there.
struct Visible {
  int64_t begin;
  int64_t end;
};

// s[begin … end) ← exp(s − max), 0 elsewhere. Moves max and sum, and returns what o must be scaled by.
// Exponents are taken in base 2: s·log₂e − max·log₂e is one multiply-add.
HWY_INLINE float SoftmaxStep(float* s, Visible visible, float& max, float& sum) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t j = 0; j < visible.begin; ++j) s[j] = kLowest;
  for (int64_t j = visible.end; j < kPageTokens; ++j) s[j] = kLowest;
  auto tile_max = hn::Set(d, kLowest);
  for (int64_t j = 0; j < kPageTokens; j += lanes) tile_max = hn::Max(tile_max, hn::Load(d, s + j));
  const float new_max = std::max(max, hn::GetLane(hn::MaxOfLanes(d, tile_max)));
  if (new_max == kLowest) {  // nothing but −∞ so far: exp(−∞ − −∞) would be NaN
    if (std::any_of(s, s + kPageTokens, [](float x) { return std::isnan(x); })) sum = NAN;
    std::fill(s, s + kPageTokens, 0.0F);
    return 1.0F;
  }
  const auto log2e = hn::Set(d, kLog2E), shift = hn::Set(d, new_max * kLog2E);
  auto tile_sum = hn::Zero(d);
  for (int64_t j = 0; j < kPageTokens; j += lanes) {
    const auto p = Exp2(d, hn::MulSub(hn::Load(d, s + j), log2e, shift));
    hn::Store(p, d, s + j);
    tile_sum = hn::Add(tile_sum, p);
  }
  const float correction = max == new_max ? 1.0F : std::exp2(max * kLog2E - new_max * kLog2E);
  sum = sum * correction + hn::GetLane(hn::SumOfLanes(d, tile_sum));
  max = new_max;
  return correction;
}

// The logarithm of what a row's weights were divided by: `max` as SoftmaxStep rounded it.
HWY_INLINE float LogSumExp(float max, float sum) {
  return static_cast<float>(static_cast<double>(max * kLog2E) * kLn2 + std::log(static_cast<double>(sum)));
}

HWY_INLINE void Scale(float* x, int64_t width, float factor) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < width; i += lanes)
    hn::Store(hn::Mul(hn::Load(d, x + i), hn::Set(d, factor)), d, x + i);
}

template <typename Variant>
class BlockKernel {
 public:
  BlockKernel(const AttentionBlock& b, const Variant& variant)
      : b_(b), variant_(variant), d_(b.args->kv.head_dim), stride_(ValueStride(d_)) {
    if (b.run->segments != nullptr) segments_.emplace(*b.run->segments, stride_);
  }

  void Run() {
    LoadQueries();
    const int64_t seen =
        b_.args->mask == Mask::kCausal ? b_.run->first_position + b_.end : b_.run->keys;
    for (int64_t page = b_.run->first_key / kPageTokens; page * kPageTokens < seen; ++page)
      Page(page);
    StoreResults();
  }

 private:
  void LoadQueries() {
    int64_t r = 0;
    for (int64_t i = b_.begin; i < b_.end; ++i) {
      for (int64_t h = 0; h < b_.heads; ++h, ++r) {
        const int64_t at = (b_.first_head + h) * d_;
        float* row = state_.q + r * d_;
        ReadQuery(b_.args->q, b_.run->first_row + i, at, d_, row);
        for (int64_t c = 0; c < d_; ++c) row[c] *= b_.args->scale;
        state_.max[r] = kLowest;
        state_.sum[r] = 0;
      }
    }
    std::memset(state_.o, 0, static_cast<size_t>(r * stride_) * sizeof(float));
    if (segments_) segments_->Clear(r);
  }

  Visible VisibleOf(int64_t row, int64_t first_key) const {
    const int64_t seen =
        b_.args->mask == Mask::kCausal ? b_.run->first_position + row + 1 : b_.run->keys;
    const int64_t end = std::clamp<int64_t>(seen - first_key, 0, kPageTokens);
    return {std::clamp<int64_t>(b_.run->first_key - first_key, 0, end), end};
  }

  // One page of keys and values: S = Q·Kᵀ, variant, online softmax, O += P·V.
  void Page(int64_t page_index) {
    const KvLayer& kv = b_.args->kv;
    const int64_t first_key = page_index * kPageTokens;
    const int32_t page = b_.run->pages[static_cast<size_t>(page_index)];
    int64_t begin = b_.begin;  // earlier rows see nothing of this page and are left alone
    while (begin < b_.end && VisibleOf(begin, first_key).end == 0) ++begin;
    if (begin == b_.end) return;
    const int64_t r0 = (begin - b_.begin) * b_.heads;
    const int64_t rows = (b_.end - begin) * b_.heads;
    const Visible all = VisibleOf(b_.end - 1, first_key);  // of the last row, which sees most
    const float* keys = ReadKeyPage(kv, page, b_.kv_head, key_scratch_);
    const float* values = ReadValuePage(kv, page, b_.kv_head, value_scratch_);

    Panel<Store::kOverwrite>({.a = state_.q + r0 * d_,
                              .lda = d_,
                              .b = keys,
                              .ldb = kPageTokens,
                              .c = state_.s + r0 * kPageTokens,
                              .ldc = kPageTokens,
                              .depth = d_,
                              .columns = kPageTokens},
                             rows);
    for (int64_t r = r0; r < r0 + rows; ++r) {
      const Visible visible = VisibleOf(b_.begin + r / b_.heads, first_key);
      float* s = state_.s + r * kPageTokens;
      ApplyVariant(variant_, b_.first_head + r % b_.heads, first_key, visible.end, s);
      const float correction = SoftmaxStep(s, visible, state_.max[r], state_.sum[r]);
      if (correction == 1.0F) continue;
      Scale(state_.o + r * stride_, stride_, correction);
      if (segments_) segments_->Rescale(r, correction);
    }
    const int64_t width = rows == 1 ? stride_ : kPanel;
    for (int64_t c = 0; c < stride_; c += width) {
      Panel<Store::kAdd>({.a = state_.s + r0 * kPageTokens + all.begin,
                          .lda = kPageTokens,
                          .b = values + all.begin * stride_ + c,
                          .ldb = stride_,
                          .c = state_.o + r0 * stride_ + c,
                          .ldc = stride_,
                          .depth = all.end - all.begin,
                          .columns = std::min(width, stride_ - c)},
                         rows);
    }
    if (segments_) segments_->AddPage({state_.s, values, first_key, all.end, r0, rows});
  }

  void StoreResults() {
    int64_t r = 0;
    for (int64_t i = b_.begin; i < b_.end; ++i) {
      const int64_t row = b_.run->first_row + i;
      for (int64_t h = 0; h < b_.heads; ++h, ++r) {
        const int64_t head = b_.first_head + h;
        float* out = b_.out.row(row) + head * d_;
        const bool none = state_.sum[r] == 0;  // −∞ for every key
        const float inverse = none ? 0.0F : 1.0F / state_.sum[r];
        for (int64_t c = 0; c < d_; ++c) out[c] = state_.o[r * stride_ + c] * inverse;
        b_.lse.row(row)[head] = none ? kLowest : LogSumExp(state_.max[r], state_.sum[r]);
        if (!segments_) continue;
        const SegmentMasses m = segments_->Finish(r, inverse, d_, out);
        if (b_.run->segments->masses.empty()) continue;
        float* masses = b_.run->segments->masses.row(row) + 3 * head;
        masses[0] = m.content;
        masses[1] = m.visual_sink;
        masses[2] = m.text_sink;
      }
    }
  }

  const AttentionBlock& b_;
  const Variant& variant_;
  int64_t d_, stride_;
  OnlineSoftmax state_;
  alignas(64) float key_scratch_[kMaxHeadDim * kPageTokens];    // where pages are bf16
  alignas(64) float value_scratch_[kMaxHeadDim * kPageTokens];  // where pages are bf16
  std::optional<SegmentSums> segments_;
};

void Block(const AttentionBlock& b) {
  std::visit(
      [&](const auto& variant) { BlockKernel<std::decay_t<decltype(variant)>>(b, variant).Run(); },
      b.run->variant);
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(Block);
}  // namespace
void AttentionBlockCpu(const AttentionBlock& block) { HWY_DYNAMIC_DISPATCH(Block)(block); }
}  // namespace binocle
#endif  // HWY_ONCE
