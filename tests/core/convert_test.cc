#include "core/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace binocle {
namespace {

TEST(Convert, EveryFiniteHalfHasItsIeeeValue) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>((bits >> 10) & 31);
    const double mantissa = bits & 1023;
    if (exponent == 31) continue;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    EXPECT_EQ(F32FromF16(static_cast<uint16_t>(bits)),
              static_cast<float>(bits & 0x8000 ? -magnitude : magnitude))
        << bits;
  }
}

TEST(Convert, HalvesKeepInfinityNanAndTheSignOfZero) {
  EXPECT_EQ(F32FromF16(0x7C00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(F32FromF16(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(F32FromF16(0x7E01)));
  EXPECT_TRUE(std::signbit(F32FromF16(0x8000)));
}

// The definition: the nearest half, and of two the even one. Around each half, and half-way to the next, in both directions.
TEST(Convert, RoundingToHalvesGoesToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const float here = F32FromF16(static_cast<uint16_t>(bits));
    const float next = bits == 0x7BFF ? 65536.0F : F32FromF16(static_cast<uint16_t>(bits + 1));
    const float middle = (here + next) / 2;  // exact in f32
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    const float big = std::numeric_limits<float>::infinity();
    ASSERT_EQ(F16FromF32(here), bits);
    ASSERT_EQ(F16FromF32(std::nextafter(here, big)), bits);
    ASSERT_EQ(F16FromF32(std::nextafter(middle, 0.0F)), bits);
    ASSERT_EQ(F16FromF32(middle), even);
    ASSERT_EQ(F16FromF32(std::nextafter(middle, big)), bits + 1);
    ASSERT_EQ(F16FromF32(-middle), even | 0x8000U);
  }
  EXPECT_EQ(F16FromF32(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_EQ(F16FromF32(-1e30F), 0xFC00);
  EXPECT_TRUE(std::isnan(F32FromF16(F16FromF32(-std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Convert, WhatIsWrittenIsRead) {
  const float values[] = {0.0F, -1.5F, 3.140625F, 65504.0F};
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    char bytes[17] = {};
    WriteFromF32(values, 4, dtype, bytes + 1);
    float out[4];
    ReadAsF32(TensorView(bytes + 1, dtype, {4}, "written"), 0, 4, out);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out[i], values[i]);
    EXPECT_NEAR(out[3], 65504, dtype == DType::kBF16 ? 256 : 0);
  }
}

TEST(Convert, Bfloat16IsTheUpperHalfOfAnF32) {
  EXPECT_EQ(F32FromBf16(0x3F80), 1.0F);
  EXPECT_EQ(F32FromBf16(0xC049), -3.140625F);
  EXPECT_TRUE(std::isnan(F32FromBf16(0x7FC0)));
}

TEST(Convert, ElementsMayLieAtOddAddresses) {
  alignas(8) unsigned char bytes[32] = {};
  const uint16_t stored[] = {0x3F80, 0x4000, 0x4040};
  std::memcpy(bytes + 1, stored, sizeof stored);
  float out[2];
  ReadAsF32(TensorView(bytes + 1, DType::kBF16, {3}, "odd"), 1, 2, out);
  EXPECT_EQ(out[0], 2.0F);
  EXPECT_EQ(out[1], 3.0F);
}

TEST(Convert, NoElementsNeedNoPlace) {
  float stored = 1;
  ReadAsF32(TensorView(&stored, DType::kF32, {0, 3}, "none"), 0, 0, nullptr);
}

}  // namespace
}  // namespace binocle
