#include "core/ops/rope_cpu.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/rope_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE void RotateVector(const float* low_in, const float* high_in, const float* cos_in,
                             const float* sin_in, float* low_out, float* high_out) {
  const hn::ScalableTag<float> d;
  const auto low = hn::LoadU(d, low_in);
  const auto high = hn::LoadU(d, high_in);
  const auto cos = hn::LoadU(d, cos_in);
  const auto sin = hn::LoadU(d, sin_in);
  hn::StoreU(hn::NegMulAdd(high, sin, hn::Mul(low, cos)), d, low_out);
  hn::StoreU(hn::MulAdd(low, sin, hn::Mul(high, cos)), d, high_out);
}

// The tail goes through padded vectors, so that every element sees the same arithmetic.
void RotateRows(const RotatedRows& r) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = 0;
  for (; j + lanes <= r.count; j += lanes)
    RotateVector(r.low + j, r.high + j, r.cos + j, r.sin + j, r.low_out + j, r.high_out + j);
  if (j == r.count) return;
  constexpr int64_t kMost = HWY_MAX_BYTES / sizeof(float);
  const int64_t rest = r.count - j;
  float low[kMost] = {}, high[kMost] = {}, cos[kMost] = {}, sin[kMost] = {};
  std::copy_n(r.low + j, rest, low);
  std::copy_n(r.high + j, rest, high);
  std::copy_n(r.cos + j, rest, cos);
  std::copy_n(r.sin + j, rest, sin);
  RotateVector(low, high, cos, sin, low, high);
  std::copy_n(low, rest, r.low_out + j);
  std::copy_n(high, rest, r.high_out + j);
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(RotateRows);
}  // namespace
void RotateRowsCpu(const RotatedRows& rows) { HWY_DYNAMIC_DISPATCH(RotateRows)(rows); }
}  // namespace binocle
#endif  // HWY_ONCE
