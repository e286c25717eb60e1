#include "attention/two_pass_cpu.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/two_pass_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "core/simd/exp2-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

float ExpRow(float* s, int64_t visible, int64_t width) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t end = std::min(width, (visible + lanes - 1) / lanes * lanes);
  std::fill(s + visible, s + width, -std::numeric_limits<float>::infinity());
  auto max = hn::Set(d, s[0]);
  for (int64_t j = 0; j < end; j += lanes) max = hn::Max(max, hn::LoadU(d, s + j));
  max = hn::MaxOfLanes(d, max);
  const auto log2e = hn::Set(d, kLog2E);
  auto sum = hn::Zero(d);
  for (int64_t j = 0; j < end; j += lanes) {
    const auto p = Exp2(d, hn::Mul(hn::Sub(hn::LoadU(d, s + j), max), log2e));
    hn::StoreU(p, d, s + j);
    sum = hn::Add(sum, p);
  }
  std::fill(s + end, s + width, 0.0F);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(ExpRow);
}  // namespace

float ExpRowCpu(float* s, int64_t visible, int64_t width) {
  return HWY_DYNAMIC_DISPATCH(ExpRow)(s, visible, width);
}

}  // namespace binocle
#endif  // HWY_ONCE
