// A stand-in for Highway, one lane wide: the few of its functions and macros that our kernels use, for builds that have nothing but
// a compiler (preset `minimal`, BINOCLE_HIGHWAY=OFF). Written from the meaning of Highway's interface; a vector is one float, there
// is one target, and dispatch is a plain call. A kernel that needs another function adds it here, with Highway's name and meaning.
//
// Same kernels, same order of summation as with one Highway lane. Without a fused multiply-add in hardware products round before
// they are added, as core/ops/linear.h allows.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

// Targets. Numbers order them as Highway does: smaller is wider.
#define HWY_AVX3 256
#define HWY_SCALAR 65536
#define HWY_TARGET HWY_SCALAR
#define HWY_NAMESPACE N_ONE_LANE
#define HWY_MAX_BYTES 4

// One pass over each kernel file, no attributes around it. HWY_TARGET_TOGGLE stays undefined: an -inl.h is included once.
#define HWY_ONCE 1
#define HWY_BEFORE_NAMESPACE() static_assert(true, "")
#define HWY_AFTER_NAMESPACE() static_assert(true, "")

// Dispatch: the only target's function.
#define HWY_EXPORT(function) static_assert(true, "")
#define HWY_DYNAMIC_DISPATCH(function) (&N_ONE_LANE::function)

#define HWY_INLINE inline
#define HWY_NOINLINE __attribute__((noinline))
#define HWY_ALIGN alignas(64)
#define HWY_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HWY_MAX(a, b) ((a) > (b) ? (a) : (b))

namespace hwy {
inline const char* TargetName(int64_t /*target*/) { return "ONE_LANE"; }
}  // namespace hwy

namespace hwy::HWY_NAMESPACE {

// A vector of each type, and the tag that says which is meant: types of their own, so that what compiles here compiles with Highway.
struct Vec1 {
  float raw;
};
struct Vec1U16 {
  uint16_t raw;
};
struct Vec1U32 {
  uint32_t raw;
};
struct Vec1I32 {
  int32_t raw;
};
struct Vec1U8 {
  uint8_t raw;
};
struct Vec1I8 {
  int8_t raw;
};
template <typename T>
struct LaneOf;
template <>
struct LaneOf<float> {
  using Vector = Vec1;
};
template <>
struct LaneOf<uint8_t> {
  using Vector = Vec1U8;
};
template <>
struct LaneOf<int8_t> {
  using Vector = Vec1I8;
};
template <>
struct LaneOf<uint16_t> {
  using Vector = Vec1U16;
};
template <>
struct LaneOf<uint32_t> {
  using Vector = Vec1U32;
};
template <>
struct LaneOf<int32_t> {
  using Vector = Vec1I32;
};
template <typename T>
struct ScalableTag {
  using Vector = typename LaneOf<T>::Vector;
};
template <typename T, size_t kLimit>
using CappedTag = ScalableTag<T>;
template <typename T, typename D>
using Rebind = ScalableTag<T>;
template <typename D>
using Vec = typename D::Vector;

using Tag = ScalableTag<float>;

inline constexpr size_t Lanes(Tag) { return 1; }

// Memory. Load and Store need aligned pointers in Highway.
inline Vec1 Load(Tag, const float* from) { return {*from}; }
inline Vec1 LoadU(Tag, const float* from) { return {*from}; }
inline void Store(Vec1 v, Tag, float* to) { *to = v.raw; }
inline void StoreU(Vec1 v, Tag, float* to) { *to = v.raw; }

// Values.
inline Vec1U16 LoadU(ScalableTag<uint16_t>, const uint16_t* from) { return {*from}; }
inline Vec1U32 PromoteTo(ScalableTag<uint32_t>, Vec1U16 v) { return {v.raw}; }
template <int kBits>
Vec1U32 ShiftLeft(Vec1U32 v) {
  return {v.raw << kBits};
}
inline Vec1 BitCast(Tag, Vec1U32 v) { return {std::bit_cast<float>(v.raw)}; }
inline Vec1U32 BitCast(ScalableTag<uint32_t>, Vec1 v) { return {std::bit_cast<uint32_t>(v.raw)}; }
inline Vec1 BitCast(Tag, Vec1I32 v) { return {std::bit_cast<float>(v.raw)}; }
inline Vec1I32 BitCast(ScalableTag<int32_t>, Vec1 v) { return {std::bit_cast<int32_t>(v.raw)}; }
inline Vec1I32 Max(Vec1I32 a, Vec1I32 b) { return {HWY_MAX(a.raw, b.raw)}; }
inline Vec1I32 MaxOfLanes(ScalableTag<int32_t>, Vec1I32 v) { return v; }
inline Vec1U32 Add(Vec1U32 a, Vec1U32 b) { return {a.raw + b.raw}; }
inline Vec1U32 And(Vec1U32 a, Vec1U32 b) { return {a.raw & b.raw}; }
inline Vec1U32 Or(Vec1U32 a, Vec1U32 b) { return {a.raw | b.raw}; }
inline Vec1U32 LoadU(ScalableTag<uint32_t>, const uint32_t* from) { return {*from}; }
inline void StoreU(Vec1U32 v, ScalableTag<uint32_t>, uint32_t* to) { *to = v.raw; }
inline Vec1U32 Set(ScalableTag<uint32_t>, uint32_t value) { return {value}; }
template <int kBits>
Vec1U32 ShiftRight(Vec1U32 v) {
  return {v.raw >> kBits};
}
inline Vec1U16 TruncateTo(ScalableTag<uint16_t>, Vec1U32 v) {
  return {static_cast<uint16_t>(v.raw)};
}
inline void StoreU(Vec1U16 v, ScalableTag<uint16_t>, uint16_t* to) { *to = v.raw; }
inline Vec1I32 LoadU(ScalableTag<int32_t>, const int32_t* from) { return {*from}; }
inline Vec1I32 Set(ScalableTag<int32_t>, int32_t value) { return {value}; }
inline Vec1I32 Add(Vec1I32 a, Vec1I32 b) { return {a.raw + b.raw}; }
inline Vec1I32 Sub(Vec1I32 a, Vec1I32 b) { return {a.raw - b.raw}; }
inline Vec1 ConvertTo(Tag, Vec1I32 v) { return {static_cast<float>(v.raw)}; }
// To nearest, ties to even.
inline Vec1I32 NearestInt(Vec1 v) { return {static_cast<int32_t>(std::nearbyint(v.raw))}; }
inline Vec1U8 DemoteTo(ScalableTag<uint8_t>, Vec1I32 v) {
  return {static_cast<uint8_t>(v.raw < 0 ? 0 : v.raw > 255 ? 255 : v.raw)};
}
inline void StoreU(Vec1U8 v, ScalableTag<uint8_t>, uint8_t* to) { *to = v.raw; }
inline Vec1I8 DemoteTo(ScalableTag<int8_t>, Vec1I32 v) {
  return {static_cast<int8_t>(v.raw < -128 ? -128 : v.raw > 127 ? 127 : v.raw)};
}
inline void StoreU(Vec1I8 v, ScalableTag<int8_t>, int8_t* to) { *to = v.raw; }
inline Vec1 Set(Tag, float value) { return {value}; }
inline Vec1 Zero(Tag) { return {0.0F}; }
inline Vec1I32 Zero(ScalableTag<int32_t>) { return {0}; }
inline float GetLane(Vec1 v) { return v.raw; }
inline int32_t GetLane(Vec1I32 v) { return v.raw; }

// Arithmetic.
inline Vec1 Add(Vec1 a, Vec1 b) { return {a.raw + b.raw}; }
inline Vec1 Sub(Vec1 a, Vec1 b) { return {a.raw - b.raw}; }
inline Vec1 Mul(Vec1 a, Vec1 b) { return {a.raw * b.raw}; }
inline Vec1 Div(Vec1 a, Vec1 b) { return {a.raw / b.raw}; }
inline Vec1 Neg(Vec1 v) { return {-v.raw}; }
inline Vec1 Abs(Vec1 v) { return {std::fabs(v.raw)}; }
inline Vec1 CopySign(Vec1 magnitude, Vec1 sign) { return {std::copysign(magnitude.raw, sign.raw)}; }
inline Vec1 Min(Vec1 a, Vec1 b) { return {a.raw < b.raw ? a.raw : b.raw}; }
inline Vec1 Max(Vec1 a, Vec1 b) { return {a.raw > b.raw ? a.raw : b.raw}; }

// factor · x + add. Where the hardware fuses it, so do we; in software std::fma would be fifty times slower.
inline Vec1 MulAdd(Vec1 factor, Vec1 x, Vec1 add) {
#if defined(__FP_FAST_FMAF) || defined(FP_FAST_FMAF)
  return {std::fma(factor.raw, x.raw, add.raw)};
#else
  return {factor.raw * x.raw + add.raw};
#endif
}
// add − factor · x.
inline Vec1 NegMulAdd(Vec1 factor, Vec1 x, Vec1 add) { return MulAdd(Neg(factor), x, add); }

// Comparisons.
inline bool Le(Vec1 a, Vec1 b) { return a.raw <= b.raw; }
inline bool AllTrue(Tag, bool mask) { return mask; }
inline Vec1 IfThenZeroElse(bool mask, Vec1 v) { return mask ? Vec1{0.0F} : v; }

// Reductions: the result in every lane.
inline Vec1 SumOfLanes(Tag, Vec1 v) { return v; }
inline Vec1I32 SumOfLanes(ScalableTag<int32_t>, Vec1I32 v) { return v; }
inline Vec1 MaxOfLanes(Tag, Vec1 v) { return v; }

}  // namespace hwy::HWY_NAMESPACE
