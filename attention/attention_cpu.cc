#include "attention/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/attention_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "core/simd/panel-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The running state of a block: R = rows × heads, row-major by row, so that later rows see more keys.
struct OnlineSoftmax {
  alignas(64) float q[kBlockRows * kMaxHeadDim];  // [R, d], scaled
  alignas(64) float o[kBlockRows * kMaxHeadDim];  // [R, stride], not yet divided by the sum
  alignas(64) float s[kBlockRows * kPageTokens];  // [R, 64] scores, then weights
  float max[kBlockRows];
  float sum[kBlockRows];
};

// s[0 … 64) ← exp(s − max) for the first `valid` columns, 0 for the rest. Moves max and sum, and returns what o must be scaled by.
HWY_INLINE float SoftmaxStep(float* s, int64_t valid, float& max, float& sum) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t j = valid; j < kPageTokens; ++j) s[j] = -std::numeric_limits<float>::infinity();
  auto tile_max = lowest;
  for (int64_t j = 0; j < kPageTokens; j += lanes) tile_max = hn::Max(tile_max, hn::Load(d, s + j));
  const float new_max = std::max(max, hn::GetLane(hn::MaxOfLanes(d, tile_max)));
  if (new_max == -std::numeric_limits<
                     float>::infinity()) {  // nothing but −∞ so far: exp(−∞ − −∞) would be NaN
    std::fill(s, s + kPageTokens, 0.0F);
    return 1.0F;
  }
  const auto shift = hn::Set(d, new_max);
  auto tile_sum = hn::Zero(d);
  for (int64_t j = 0; j < kPageTokens; j += lanes) {
    // The bound keeps the argument where Exp is defined; e^(−200) is 0 in f32.
    const auto p = hn::Exp(d, hn::Max(hn::Sub(hn::Load(d, s + j), shift), hn::Set(d, -200.0F)));
    hn::Store(p, d, s + j);
    tile_sum = hn::Add(tile_sum, p);
  }
  const float correction = max == new_max ? 1.0F : std::exp(max - new_max);
  sum = sum * correction + hn::GetLane(hn::SumOfLanes(d, tile_sum));
  max = new_max;
  return correction;
}

HWY_INLINE void Scale(float* x, int64_t width, float factor) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < width; i += lanes)
    hn::Store(hn::Mul(hn::Load(d, x + i), hn::Set(d, factor)), d, x + i);
}

void LoadQueries(const AttentionBlock& b, OnlineSoftmax& state) {
  const int64_t d = b.args->kv.head_dim;
  int64_t r = 0;
  for (int64_t i = b.begin; i < b.end; ++i) {
    const float* row = b.args->q.row(b.run->first_row + i) + b.first_head * d;
    for (int64_t h = 0; h < b.heads; ++h, ++r) {
      for (int64_t c = 0; c < d; ++c) state.q[r * d + c] = row[h * d + c] * b.args->scale;
      state.max[r] = -std::numeric_limits<float>::infinity();
      state.sum[r] = 0;
    }
  }
  std::memset(state.o, 0, static_cast<size_t>(r * ValueStride(d)) * sizeof(float));
}

void StoreResults(const AttentionBlock& b, const OnlineSoftmax& state) {
  const int64_t d = b.args->kv.head_dim;
  int64_t r = 0;
  for (int64_t i = b.begin; i < b.end; ++i) {
    float* out = b.out.row(b.run->first_row + i) + b.first_head * d;
    float* lse = b.lse.row(b.run->first_row + i) + b.first_head;
    for (int64_t h = 0; h < b.heads; ++h, ++r) {
      const float inverse = state.sum[r] > 0 ? 1.0F / state.sum[r] : 0.0F;
      for (int64_t c = 0; c < d; ++c) out[h * d + c] = state.o[r * ValueStride(d) + c] * inverse;
      lse[h] = state.sum[r] > 0 ? state.max[r] + std::log(state.sum[r])
                                : -std::numeric_limits<float>::infinity();
    }
  }
}

// One page of keys and values: S = Q·Kᵀ, online softmax, O += P·V.
void Page(const AttentionBlock& b, int64_t page_index, OnlineSoftmax& state) {
  const KvLayer& kv = b.args->kv;
  const int64_t d = kv.head_dim;
  const int64_t stride = ValueStride(d);
  const int64_t first_key = page_index * kPageTokens;
  const int32_t page = b.run->pages[static_cast<size_t>(page_index)];
  const auto valid_of = [&](int64_t row) {  // keys of this page that the row sees
    const int64_t visible =
        b.args->mask == Mask::kCausal ? b.run->first_position + row + 1 : b.run->keys;
    return std::clamp<int64_t>(visible - first_key, 0, kPageTokens);
  };
  int64_t begin = b.begin;  // earlier rows see nothing of this page and are left alone
  while (begin < b.end && valid_of(begin) == 0) ++begin;
  if (begin == b.end) return;
  const int64_t r0 = (begin - b.begin) * b.heads;
  const int64_t rows = (b.end - begin) * b.heads;
  const int64_t keys = valid_of(b.end - 1);

  Panel<Store::kOverwrite>({.a = state.q + r0 * d,
                            .lda = d,
                            .b = kv.key_page(page, b.kv_head),
                            .ldb = kPageTokens,
                            .c = state.s + r0 * kPageTokens,
                            .ldc = kPageTokens,
                            .depth = d,
                            .columns = kPageTokens},
                           rows);
  for (int64_t r = r0; r < r0 + rows; ++r) {
    const int64_t valid = valid_of(b.begin + r / b.heads);
    const float correction =
        SoftmaxStep(state.s + r * kPageTokens, valid, state.max[r], state.sum[r]);
    if (correction != 1.0F) Scale(state.o + r * stride, stride, correction);
  }
  for (int64_t c = 0; c < d; c += kPanel) {
    Panel<Store::kAdd>({.a = state.s + r0 * kPageTokens,
                        .lda = kPageTokens,
                        .b = kv.value_page(page, b.kv_head) + c,
                        .ldb = stride,
                        .c = state.o + r0 * stride + c,
                        .ldc = stride,
                        .depth = keys,
                        .columns = std::min(kPanel, stride - c)},
                       rows);
  }
}

void Block(const AttentionBlock& b) {
  OnlineSoftmax state;
  LoadQueries(b, state);
  const int64_t visible =
      b.args->mask == Mask::kCausal ? b.run->first_position + b.end : b.run->keys;
  for (int64_t page = 0; page * kPageTokens < visible; ++page) Page(b, page, state);
  StoreResults(b, state);
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
