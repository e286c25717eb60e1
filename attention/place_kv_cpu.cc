#include "attention/place_kv_cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/place_kv_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows of at least one vector end with a vector that overlaps the one before: sources and targets are apart, so a lane computed twice
// is the same twice. Products and sums are rounded apart, so that scalars give what lanes give.
void RotateRows(const RotatedRows& r) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (r.count < lanes) {
    for (int64_t j = 0; j < r.count; ++j) {
      const float low_cos = r.low[j] * r.cos[j];
      const float high_sin = r.high[j] * r.sin[j];
      const float high_cos = r.high[j] * r.cos[j];
      const float low_sin = r.low[j] * r.sin[j];
      r.low_out[j] = low_cos - high_sin;
      r.high_out[j] = high_cos + low_sin;
    }
    return;
  }
  for (int64_t at = 0; at < r.count; at += lanes) {
    const int64_t j = HWY_MIN(at, r.count - lanes);
    const auto low = hn::LoadU(d, r.low + j);
    const auto high = hn::LoadU(d, r.high + j);
    const auto cos = hn::LoadU(d, r.cos + j);
    const auto sin = hn::LoadU(d, r.sin + j);
    hn::StoreU(hn::Sub(hn::Mul(low, cos), hn::Mul(high, sin)), d, r.low_out + j);
    hn::StoreU(hn::Add(hn::Mul(high, cos), hn::Mul(low, sin)), d, r.high_out + j);
  }
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
