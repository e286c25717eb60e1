#include "core/ops/compact_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/compact_rows_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using CompactF = hn::ScalableTag<float>;
using CompactI = hn::Rebind<int32_t, CompactF>;
using CompactU = hn::Rebind<uint32_t, CompactF>;

// The upper halves are the bfloat16; the lower ones are left over.
HWY_INLINE hn::Vec<CompactU> RoundedBits(hn::Vec<CompactF> x) {
  const CompactU du;
  const auto bits = hn::BitCast(du, x);
  const auto even = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  return hn::Add(bits, hn::Add(even, hn::Set(du, 0x7FFFu)));
}
HWY_INLINE hn::Vec<CompactU> Bf16Bits(hn::Vec<CompactF> x) {
  return hn::ShiftRight<16>(RoundedBits(x));
}

void RowBf16(const float* x, int64_t k, int64_t padded, Bf16* out) {
  const CompactF d;
  const hn::Rebind<uint16_t, CompactF> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto* bits = reinterpret_cast<uint16_t*>(out);
  int64_t i = 0;
  for (; i + lanes <= k; i += lanes)
    hn::StoreU(hn::TruncateTo(d16, Bf16Bits(hn::LoadU(d, x + i))), d16, bits + i);
  for (; i < k; ++i) out[i] = Bf16FromF32(x[i]);
  for (; i < padded; ++i) out[i] = {0};
}

void PairRowsBf16(const float* even, const float* odd, int64_t count, Bf16* out) {
  const CompactF d;
  const CompactU du;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto* pairs = reinterpret_cast<uint32_t*>(out);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto high = hn::And(RoundedBits(hn::LoadU(d, odd + i)), hn::Set(du, 0xFFFF0000u));
    hn::StoreU(hn::Or(Bf16Bits(hn::LoadU(d, even + i)), high), du, pairs + i);
  }
  for (; i < count; ++i) {
    out[2 * i] = Bf16FromF32(even[i]);
    out[2 * i + 1] = Bf16FromF32(odd[i]);
  }
}

// The larger magnitude of each lane, compared as whole numbers: they are in the order of the magnitudes, and NaN is above infinity, where a
// maximum of floats forgets it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LargerMagnitude(D d, V a, V b) {
  const hn::Rebind<int32_t, D> di;
  return hn::BitCast(d, hn::Max(hn::BitCast(di, a), hn::BitCast(di, hn::Abs(b))));
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE float LargestMagnitude(D /*d*/, V lanes) {
  const hn::Rebind<int32_t, D> di;
  const int32_t bits = hn::GetLane(hn::MaxOfLanes(di, hn::BitCast(di, lanes)));
  float largest;
  std::memcpy(&largest, &bits, sizeof(largest));
  return largest;
}

// What bytes are multiplied by, and what that is undone with.
struct ByteScale {
  float inverse;
  float scale;
};
HWY_INLINE ByteScale ByteScaleOf(float largest) {
  // Bytes have no NaN: the scale has it, and so have all results of the row.
  if (!std::isfinite(largest)) return {0.0F, std::numeric_limits<float>::quiet_NaN()};
  // Below, 127/largest is infinite. Such rows, and rows of zeros, are zeros.
  if (largest <= 1e-35F) return {0.0F, 0.0F};
  return {127.0F / largest, largest / 127.0F};
}

float RowBytes(const float* x, int64_t k, int64_t padded, uint8_t* out) {
  const CompactF d;
  const hn::Rebind<uint8_t, CompactF> d8;
  const CompactI di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float tail[HWY_MAX_BYTES / sizeof(float)] = {};
  const int64_t whole = k / lanes * lanes;
  for (int64_t i = whole; i < k; ++i) tail[i - whole] = x[i];
  auto largest = hn::Abs(hn::Load(d, tail));
  for (int64_t i = 0; i < whole; i += lanes)
    largest = LargerMagnitude(d, largest, hn::LoadU(d, x + i));
  const ByteScale to = ByteScaleOf(LargestMagnitude(d, largest));
  if (to.inverse == 0) {
    std::fill(out, out + padded, static_cast<uint8_t>(kByteOffset));
    return to.scale;
  }
  const auto inverse = hn::Set(d, to.inverse);
  const auto offset = hn::Set(di, kByteOffset);
  const auto bytes = [&](hn::Vec<CompactF> v) {
    return hn::DemoteTo(d8, hn::Add(hn::NearestInt(hn::Mul(v, inverse)), offset));
  };
  for (int64_t i = 0; i < whole; i += lanes) hn::StoreU(bytes(hn::LoadU(d, x + i)), d8, out + i);
  if (whole < k) {
    uint8_t last[HWY_MAX_BYTES / sizeof(float)];
    hn::StoreU(bytes(hn::Load(d, tail)), d8, last);
    std::copy_n(last, k - whole, out + whole);
  }
  std::fill(out + k, out + padded, static_cast<uint8_t>(kByteOffset));
  return to.scale;
}

void GroupsOfRow(const float* x, int64_t k, const RowGroups& to) {
  using GroupF = hn::CappedTag<float, 16>;
  const GroupF d;
  const hn::Rebind<int8_t, GroupF> d8;
  const hn::Rebind<int32_t, GroupF> di;
  constexpr int64_t kGroup = 32;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t g = 0; g < k / kGroup; ++g) {
    const float* from = x + g * kGroup;
    auto largest = hn::Zero(d);
    for (int64_t i = 0; i < kGroup; i += lanes)
      largest = LargerMagnitude(d, largest, hn::LoadU(d, from + i));
    const ByteScale scaled = ByteScaleOf(LargestMagnitude(d, largest));
    int8_t bytes[kGroup] = {};
    int32_t sums[2] = {};
    for (int64_t half = 0; half < 2 && scaled.inverse > 0; ++half) {
      auto sum = hn::Zero(di);
      for (int64_t i = half * kGroup / 2; i < (half + 1) * kGroup / 2; i += lanes) {
        const auto whole =
            hn::NearestInt(hn::Mul(hn::LoadU(d, from + i), hn::Set(d, scaled.inverse)));
        sum = hn::Add(sum, whole);
        hn::StoreU(hn::DemoteTo(d8, whole), d8, bytes + i);
      }
      sums[half] = hn::GetLane(hn::SumOfLanes(di, sum));
    }
    for (int64_t quad = 0; quad < kGroup / 4; ++quad)
      std::memcpy(to.out + (g * kGroup / 4 + quad) * to.rows * 4, bytes + quad * 4, 4);
    if (to.sums != nullptr) std::copy_n(sums, 2, to.sums + 2 * g);
    to.scales[g * to.step] = scaled.scale;
    to.shifts[g * to.step] = scaled.scale * static_cast<float>(sums[0] + sums[1]);
  }
}

// y = f(row, column, y or 0) + bias, in whole vectors; the last one of a narrow panel goes by way of a buffer.
template <typename F>
HWY_INLINE void FinishRows(const FinishPanel& to, const F& f) {
  const CompactF d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float bias[64] = {};
  if (to.bias != nullptr) std::copy_n(to.bias, to.columns, bias);
  for (int64_t r = 0; r < to.rows; ++r) {
    float* y = to.y + r * to.ldy;
    int64_t n = 0;
    for (; n + lanes <= to.columns; n += lanes) {
      auto v = f(r, n, to.add ? hn::LoadU(d, y + n) : hn::Zero(d));
      if (to.bias != nullptr) v = hn::Add(v, hn::Load(d, bias + n));
      hn::StoreU(v, d, y + n);
    }
    if (n == to.columns) continue;
    HWY_ALIGN float tail[HWY_MAX_BYTES / sizeof(float)] = {};
    if (to.add) std::copy(y + n, y + to.columns, tail);
    auto v = f(r, n, hn::Load(d, tail));
    if (to.bias != nullptr) v = hn::Add(v, hn::Load(d, bias + n));
    hn::Store(v, d, tail);
    std::copy_n(tail, to.columns - n, y + n);
  }
}

void PanelBytes(const int32_t* c, const int32_t* start, const float* scale, const float* row_scale,
                const FinishPanel& to) {
  const CompactF d;
  const CompactI di;
  FinishRows(to, [=](int64_t r, int64_t n, hn::Vec<CompactF> base) {
    const auto exact = hn::Sub(hn::LoadU(di, c + r * 64 + n), hn::LoadU(di, start + n));
    const auto factor = hn::Mul(hn::LoadU(d, scale + n), hn::Set(d, row_scale[r]));
    return hn::MulAdd(hn::ConvertTo(d, exact), factor, base);
  });
}

void PanelBf16(const float* c, const FinishPanel& to) {
  const CompactF d;
  FinishRows(to, [=](int64_t r, int64_t n, hn::Vec<CompactF> base) {
    return hn::Add(hn::LoadU(d, c + r * 64 + n), base);
  });
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(RowBf16);
HWY_EXPORT(PairRowsBf16);
HWY_EXPORT(RowBytes);
HWY_EXPORT(GroupsOfRow);
HWY_EXPORT(PanelBytes);
HWY_EXPORT(PanelBf16);
}  // namespace

void RowAsBf16(const float* x, int64_t k, int64_t padded, Bf16* out) {
  HWY_DYNAMIC_DISPATCH(RowBf16)(x, k, padded, out);
}

void PairRowsAsBf16(const float* even, const float* odd, int64_t count, Bf16* out) {
  HWY_DYNAMIC_DISPATCH(PairRowsBf16)(even, odd, count, out);
}

float RowAsBytes(const float* x, int64_t k, int64_t padded, uint8_t* out) {
  return HWY_DYNAMIC_DISPATCH(RowBytes)(x, k, padded, out);
}

void RowAsGroups(const float* x, int64_t k, const RowGroups& to) {
  HWY_DYNAMIC_DISPATCH(GroupsOfRow)(x, k, to);
}

void FinishBytes(const int32_t* c, const int32_t* start, const float* scale, const float* row_scale,
                 const FinishPanel& to) {
  HWY_DYNAMIC_DISPATCH(PanelBytes)(c, start, scale, row_scale, to);
}

void FinishBf16(const float* c, const FinishPanel& to) { HWY_DYNAMIC_DISPATCH(PanelBf16)(c, to); }

}  // namespace binocle
#endif  // HWY_ONCE
