#include "core/ops/norm_cpu.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/norm_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// Σ f(x[i]) over whole vectors, then the tail.
template <typename VectorTerm, typename ScalarTerm>
HWY_INLINE float SumOver(const float* x, int64_t width, const VectorTerm& vector_term,
                         const ScalarTerm& scalar_term) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes) sum = hn::Add(sum, vector_term(hn::LoadU(d, x + i)));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < width; ++i) total += scalar_term(x[i]);
  return total;
}

// out = (x − shift) · scale · weight (+ bias)
template <bool kBias>
HWY_INLINE void ScaleRow(const NormRow& row, float shift, float scale) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto vshift = hn::Set(d, shift);
  const auto vscale = hn::Set(d, scale);
  int64_t i = 0;
  for (; i + lanes <= row.width; i += lanes) {
    auto y = hn::Mul(hn::Mul(hn::Sub(hn::LoadU(d, row.x + i), vshift), vscale),
                     hn::LoadU(d, row.weight + i));
    if (kBias) y = hn::Add(y, hn::LoadU(d, row.bias + i));
    hn::StoreU(y, d, row.out + i);
  }
  for (; i < row.width; ++i)
    row.out[i] = (row.x[i] - shift) * scale * row.weight[i] + (kBias ? row.bias[i] : 0.0F);
}

void LayerNormRow(const NormRow& row) {
  const D d;
  const float n = static_cast<float>(row.width);
  const float mean = SumOver(
                         row.x, row.width, [](auto v) { return v; }, [](float v) { return v; }) /
                     n;
  const auto vmean = hn::Set(d, mean);
  const float variance =
      SumOver(
          row.x, row.width, [&](auto v) { return hn::Mul(hn::Sub(v, vmean), hn::Sub(v, vmean)); },
          [&](float v) { return (v - mean) * (v - mean); }) /
      n;
  ScaleRow<true>(row, mean, 1.0F / std::sqrt(variance + row.epsilon));
}

void RmsNormRow(const NormRow& row) {
  const float mean_square =
      SumOver(
          row.x, row.width, [](auto v) { return hn::Mul(v, v); }, [](float v) { return v * v; }) /
      static_cast<float>(row.width);
  ScaleRow<false>(row, 0.0F, 1.0F / std::sqrt(mean_square + row.epsilon));
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(LayerNormRow);
HWY_EXPORT(RmsNormRow);
}  // namespace
void LayerNormRowCpu(const NormRow& row) { HWY_DYNAMIC_DISPATCH(LayerNormRow)(row); }
void RmsNormRowCpu(const NormRow& row) { HWY_DYNAMIC_DISPATCH(RmsNormRow)(row); }
}  // namespace binocle
#endif  // HWY_ONCE
