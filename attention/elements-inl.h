// Stored elements as f32, in place or widened, and rows of f32 multiplied.
// Include after hwy/highway.h, once per target (Highway's foreach_target pattern).

#if defined(BINOCLE_ATTENTION_ELEMENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BINOCLE_ATTENTION_ELEMENTS_INL_H_
#undef BINOCLE_ATTENTION_ELEMENTS_INL_H_
#else
#define BINOCLE_ATTENTION_ELEMENTS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "attention/kv_pages.h"
#include "core/convert.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// out[0 … count): bfloat16 widened.
HWY_INLINE void WidenRow(const Bf16* stored, int64_t count, float* out) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint32_t, decltype(d)> d32;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::PromoteTo(d32, hn::LoadU(d16, &stored[i].bits));
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(bits)), d, out + i);
  }
  for (; i < count; ++i) out[i] = F32FromBf16(stored[i].bits);
}

// Pairs taken apart; count a multiple of the lanes.
HWY_INLINE void WidenPairs(const Bf16* pairs, int64_t count, float* even, float* odd) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint32_t, decltype(d)> d32;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* stored = reinterpret_cast<const uint32_t*>(pairs);
  for (int64_t i = 0; i < count; i += lanes) {
    const auto both = hn::LoadU(d32, stored + i);
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(both)), d, even + i);
    hn::StoreU(hn::BitCast(d, hn::And(both, hn::Set(d32, 0xFFFF0000u))), d, odd + i);
  }
}

// Keys of a page as f32, [d][64]; scratch [(d + 1)·64].
HWY_INLINE const float* ReadKeyPage(const KvLayer& kv, int64_t page, int64_t head, float* scratch) {
  if (kv.dtype == DType::kF32) return kv.key_page<float>(page, head);
  const Bf16* stored = kv.key_page<Bf16>(page, head);
  for (int64_t i = 0; i < kv.head_dim; i += 2) {
    WidenPairs(stored + PairedKeyIndex(0, i), kPageTokens, scratch + i * kPageTokens,
               scratch + (i + 1) * kPageTokens);
  }
  return scratch;
}

// Values of a page as f32, [64][stride]; scratch as large.
HWY_INLINE const float* ReadValuePage(const KvLayer& kv, int64_t page, int64_t head,
                                      float* scratch) {
  if (kv.dtype == DType::kF32) return kv.value_page<float>(page, head);
  const Bf16* stored = kv.value_page<Bf16>(page, head);
  const int64_t stride = ValueStride(kv.head_dim);
  for (int64_t c = 0; c < stride; c += 64) {
    for (int64_t t = 0; t < kPageTokens; t += 2) {
      WidenPairs(stored + PairedValueIndex(t, c), std::min<int64_t>(64, stride - c),
                 scratch + t * stride + c, scratch + (t + 1) * stride + c);
    }
  }
  return scratch;
}

// Elements [at, at + count) of a row of queries, copied.
HWY_INLINE void ReadQuery(const TensorView& q, int64_t row, int64_t at, int64_t count, float* out) {
  const int64_t offset = row * q.stride(0) + at;
  if (q.dtype() == DType::kF32) {
    std::copy_n(static_cast<const float*>(q.data()) + offset, count, out);
  } else {
    WidenRow(static_cast<const Bf16*>(q.data()) + offset, count, out);
  }
}

// out ← x·factor; out may be x.
HWY_INLINE void Multiply(const float* x, int64_t width, float factor, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, out + i);
  for (; i < width; ++i) out[i] = x[i] * factor;
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // BINOCLE_ATTENTION_ELEMENTS_INL_H_
