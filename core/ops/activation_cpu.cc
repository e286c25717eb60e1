#include "core/ops/activation_cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/activation_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Applies f to whole vectors; the tail goes through a padded vector, so that every element sees the same arithmetic.
template <typename F>
HWY_INLINE void MapRow(const float* x, float* out, int64_t width, const F& f) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes) hn::StoreU(f(hn::LoadU(d, x + i), i), d, out + i);
  if (i == width) return;
  HWY_ALIGN float tail[HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t j = i; j < width; ++j) tail[j - i] = x[j];
  hn::Store(f(hn::Load(d, tail), i), d, tail);
  for (int64_t j = i; j < width; ++j) out[j] = tail[j - i];
}

HWY_INLINE V Sigmoid(V x) {
  const D d;
  const V one = hn::Set(d, 1.0F);
  // exp(88) is finite; below −88 the result is smaller than any normal number times the inputs we scale.
  const V bounded = hn::Min(hn::Max(hn::Neg(x), hn::Set(d, -88.0F)), hn::Set(d, 88.0F));
  return hn::Div(one, hn::Add(one, hn::Exp(d, bounded)));
}

// erf(z) for z ≥ 0, Abramowitz & Stegun 7.1.26: 1 − (a₁t + … + a₅t⁵)·e^(−z²), t = 1/(1 + pz).
HWY_INLINE V ErfOfPositive(V z) {
  const D d;
  const V t = hn::Div(hn::Set(d, 1.0F), hn::MulAdd(hn::Set(d, 0.3275911F), z, hn::Set(d, 1.0F)));
  V poly = hn::Set(d, 1.061405429F);
  poly = hn::MulAdd(poly, t, hn::Set(d, -1.453152027F));
  poly = hn::MulAdd(poly, t, hn::Set(d, 1.421413741F));
  poly = hn::MulAdd(poly, t, hn::Set(d, -0.284496736F));
  poly = hn::MulAdd(poly, t, hn::Set(d, 0.254829592F));
  const V exponent = hn::Max(hn::Neg(hn::Mul(z, z)), hn::Set(d, -88.0F));
  return hn::NegMulAdd(hn::Mul(poly, t), hn::Exp(d, exponent), hn::Set(d, 1.0F));
}

void GeluRow(float* x, int64_t width) {
  MapRow(x, x, width, [](V v, int64_t) {
    const D d;
    const V erf =
        hn::CopySign(ErfOfPositive(hn::Abs(hn::Mul(v, hn::Set(d, 0.70710678118654752F)))), v);
    return hn::Mul(hn::Mul(v, hn::Set(d, 0.5F)), hn::Add(hn::Set(d, 1.0F), erf));
  });
}

// 1 + tanh(u) = 2·σ(2u)
void GeluTanhRow(float* x, int64_t width) {
  MapRow(x, x, width, [](V v, int64_t) {
    const D d;
    const V cubic = hn::MulAdd(hn::Mul(v, v), hn::Set(d, 0.044715F), hn::Set(d, 1.0F));
    const V twice = hn::Mul(hn::Mul(v, hn::Set(d, 1.5957691216057308F)), cubic);  // 2·√(2/π)
    return hn::Mul(v, Sigmoid(twice));
  });
}

void QuickGeluRow(float* x, int64_t width) {
  MapRow(x, x, width,
         [](V v, int64_t) { return hn::Mul(v, Sigmoid(hn::Mul(v, hn::Set(D(), 1.702F)))); });
}

void SiluMulRow(const float* gate, const float* up, float* out, int64_t width) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  MapRow(gate, out, width, [&](V g, int64_t i) {
    const V silu = hn::Mul(g, Sigmoid(g));
    if (i + lanes <= width) return hn::Mul(silu, hn::LoadU(d, up + i));
    HWY_ALIGN float tail[HWY_MAX_BYTES / sizeof(float)] = {};
    for (int64_t j = i; j < width; ++j) tail[j - i] = up[j];
    return hn::Mul(silu, hn::Load(d, tail));
  });
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(GeluRow);
HWY_EXPORT(GeluTanhRow);
HWY_EXPORT(QuickGeluRow);
HWY_EXPORT(SiluMulRow);
}  // namespace
void GeluRowCpu(float* x, int64_t width) { HWY_DYNAMIC_DISPATCH(GeluRow)(x, width); }
void GeluTanhRowCpu(float* x, int64_t width) { HWY_DYNAMIC_DISPATCH(GeluTanhRow)(x, width); }
void QuickGeluRowCpu(float* x, int64_t width) { HWY_DYNAMIC_DISPATCH(QuickGeluRow)(x, width); }
void SiluMulRowCpu(const float* gate, const float* up, float* out, int64_t width) {
  HWY_DYNAMIC_DISPATCH(SiluMulRow)(gate, up, out, width);
}
}  // namespace binocle
#endif  // HWY_ONCE
