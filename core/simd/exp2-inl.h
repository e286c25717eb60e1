// 2^t for weights of a softmax: t ≤ 0 or a little above, and what is too small to matter is 0.
//
// t = n + f with n the nearest integer and |f| ≤ ½. 2^f is 1 + f·(…), a polynomial of degree 5 whose relative error is 1.7e-7 with its
// roundings (Lawson fit of (2^f − 1) / 2^f); 2^n goes into the exponent bits. Half the instructions of Highway's Exp, which also serves
// large and denormal arguments.
//
// Include after hwy/highway.h, once per target (Highway's foreach_target pattern).

#if defined(BINOCLE_CORE_SIMD_EXP2_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BINOCLE_CORE_SIMD_EXP2_INL_H_
#undef BINOCLE_CORE_SIMD_EXP2_INL_H_
#else
#define BINOCLE_CORE_SIMD_EXP2_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr float kLog2E = 1.44269504088896341F;

// Exactly 1 at t = 0, exactly 0 for t ≤ −126, −∞ included, and NaN for NaN; undefined for t ≥ 127.
template <class D, class V>
HWY_INLINE V Exp2(D d, V t) {
  const hn::Rebind<uint32_t, D> bits;
  // Adding 1.5·2^23 + 127 leaves n + 127 in the low bits of the sum, where it is the exponent of 2^n.
  const auto magic = hn::Set(d, 12583039.0F);
  const auto shifted = hn::Add(t, magic);
  const auto f = hn::Sub(t, hn::Sub(shifted, magic));
  auto p = hn::MulAdd(f, hn::Set(d, 0.00132647272F), hn::Set(d, 0.00967151264F));
  p = hn::MulAdd(f, p, hn::Set(d, 0.0555073374F));
  p = hn::MulAdd(f, p, hn::Set(d, 0.240222421F));
  p = hn::MulAdd(f, p, hn::Set(d, 0.693146978F));
  p = hn::MulAdd(f, p, hn::Set(d, 1.0F));
  const auto power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(bits, shifted)));
  return hn::IfThenZeroElse(hn::Le(t, hn::Set(d, -126.0F)), hn::Mul(p, power));
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // BINOCLE_CORE_SIMD_EXP2_INL_H_
