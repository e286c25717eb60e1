// Stored elements as the panel kernel reads them (f32 in place, bf16 widened), and rows of f32 multiplied.
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

HWY_INLINE const float* ReadElements(const float* stored, int64_t /*count*/, float* /*scratch*/) {
  return stored;
}
HWY_INLINE const float* ReadElements(const Bf16* stored, int64_t count, float* scratch) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint32_t, decltype(d)> d32;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::PromoteTo(d32, hn::LoadU(d16, &stored[i].bits));
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(bits)), d, scratch + i);
  }
  for (; i < count; ++i) scratch[i] = F32FromBf16(stored[i].bits);
  return scratch;
}

// Keys of a page, [d][64]; scratch [d·64].
HWY_INLINE const float* ReadKeyPage(const KvLayer& kv, int64_t page, int64_t head, float* scratch) {
  const int64_t count = kv.head_dim * kPageTokens;
  if (kv.dtype == DType::kF32) return kv.key_page<float>(page, head);
  return ReadElements(kv.key_page<Bf16>(page, head), count, scratch);
}

// Values of a page, [64][stride]; scratch [64·stride].
HWY_INLINE const float* ReadValuePage(const KvLayer& kv, int64_t page, int64_t head,
                                      float* scratch) {
  const int64_t count = kPageTokens * ValueStride(kv.head_dim);
  if (kv.dtype == DType::kF32) return kv.value_page<float>(page, head);
  return ReadElements(kv.value_page<Bf16>(page, head), count, scratch);
}

// Elements [at, at + count) of a row of queries, copied.
HWY_INLINE void ReadQuery(const TensorView& q, int64_t row, int64_t at, int64_t count, float* out) {
  const int64_t offset = row * q.stride(0) + at;
  if (q.dtype() == DType::kF32) {
    std::copy_n(static_cast<const float*>(q.data()) + offset, count, out);
  } else {
    ReadElements(static_cast<const Bf16*>(q.data()) + offset, count, out);
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
