// Score variants as compile-time policies: what becomes of a tile of scores before the softmax.
// Include after hwy/highway.h, once per target (Highway's foreach_target pattern).

#if defined(BINOCLE_ATTENTION_SCORE_VARIANTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BINOCLE_ATTENTION_SCORE_VARIANTS_INL_H_
#undef BINOCLE_ATTENTION_SCORE_VARIANTS_INL_H_
#else
#define BINOCLE_ATTENTION_SCORE_VARIANTS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "attention/kv_pages.h"
#include "attention/score_variant.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// s: the scores of one row and head against a page, of which the first `valid` matter. The page's first key is `first_key`. No more than
// these may be read from the variant's spans, which end with the last key.

HWY_INLINE void ApplyVariant(const PlainScore&, int64_t /*head*/, int64_t /*first_key*/,
                             int64_t /*valid*/, float* /*s*/) {}

// s + g·c·|s|; no weight stays none: 0·∞ is no number.
HWY_INLINE hn::Vec<hn::ScalableTag<float>> Gained(hn::Vec<hn::ScalableTag<float>> s,
                                                  hn::Vec<hn::ScalableTag<float>> g, float c) {
  const hn::ScalableTag<float> d;
  const auto more = hn::Mul(hn::Mul(g, hn::Set(d, c)), hn::Abs(s));
  return hn::Add(s, hn::IfThenZeroElse(hn::Le(s, hn::Set(d, -INFINITY)), more));
}

HWY_INLINE void ApplyVariant(const KeyGain& v, int64_t head, int64_t first_key, int64_t valid,
                             float* s) {
  const float factor = v.head_factor.empty() ? 1.0F : v.head_factor[static_cast<size_t>(head)];
  const float* gain = v.gain.data() + first_key;
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = 0;
  for (; j + lanes <= valid; j += lanes)
    hn::StoreU(Gained(hn::LoadU(d, s + j), hn::LoadU(d, gain + j), factor), d, s + j);
  if (j == valid) return;
  float rest[kPageTokens] = {};
  std::copy(gain + j, gain + valid, rest);
  hn::StoreU(Gained(hn::LoadU(d, s + j), hn::LoadU(d, rest), factor), d, s + j);
}

HWY_INLINE void ApplyVariant(const KeyBias& v, int64_t /*head*/, int64_t first_key, int64_t valid,
                             float* s) {
  const float* bias = v.bias.data() + first_key;
  for (int64_t j = 0; j < valid; ++j) s[j] += bias[j];
}

HWY_INLINE void ApplyVariant(const SoftCap& v, int64_t /*head*/, int64_t /*first_key*/,
                             int64_t valid, float* s) {
  for (int64_t j = 0; j < valid; ++j) s[j] = v.cap * std::tanh(s[j] / v.cap);
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // BINOCLE_ATTENTION_SCORE_VARIANTS_INL_H_
