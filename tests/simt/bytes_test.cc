// The device's products with bytes, beside the definitions that the CPU's are held to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/ops/compact_cuda.h"
#include "core/ops/compact_rows.h"
#include "simt/array.h"
#include "simt/runtime.h"
#include "tests/simt/on_device.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;

// Weights of few bits with what they stand for.
struct FewBits {
  std::vector<uint8_t> q, factors;
  std::vector<float> scale, bias;
  std::vector<int> values;  // [N, K]: w = scale·value
};

FewBits MakeInt8(int64_t features, int64_t depth, Numbers& numbers) {
  FewBits w;
  for (int64_t i = 0; i < features * depth; ++i) {
    w.values.push_back(static_cast<int>(numbers.Int(-127, 127)));
    w.q.push_back(static_cast<uint8_t>(w.values.back()));
  }
  return w;
}

FewBits MakeInt4(int64_t features, int64_t depth, Numbers& numbers) {
  FewBits w;
  w.q.resize(static_cast<size_t>(features * depth / 2));
  w.factors.resize(static_cast<size_t>(features * depth / 64));
  for (int64_t i = 0; i < features * depth; ++i) {
    if (i % 32 == 0)
      w.factors[static_cast<size_t>(i / 64)] = static_cast<uint8_t>(
          w.factors[static_cast<size_t>(i / 64)] | numbers.Int(0, 15) << (i / 32 % 2 * 4));
    const int factor = w.factors[static_cast<size_t>(i / 64)] >> (i / 32 % 2 * 4) & 15;
    const auto q = static_cast<int>(numbers.Int(0, 15));
    auto& byte = w.q[static_cast<size_t>(i / 8 * 4 + i % 4)];
    byte = static_cast<uint8_t>(byte | q << (i % 8 / 4 * 4));
    w.values.push_back(factor * (q - 8));
  }
  return w;
}

struct BytesShape {
  int64_t rows, depth;
};
class DeviceBytes : public ::testing::TestWithParam<BytesShape> {};
// A lane has 16 bytes at a time, or 32 half bytes: a warp comes again after 512, or 1,024, and a block of RowsAsBytes after 256.
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceBytes,
                         ::testing::Values(BytesShape{1, 192}, BytesShape{3, 192},
                                           BytesShape{16, 192}, BytesShape{3, 520},
                                           BytesShape{16, 1100}, BytesShape{2, 2112},
                                           BytesShape{1, 4160}));

// y as the CPU has it, bit for bit: whole numbers, then fma(sum, scale·row scale, y) + bias.
void ExpectProduct(const BytesShape& shape, FewBits w, bool four_bits, cuda::Add add) {
  constexpr int64_t kFeatures = 9;
  const auto [rows, depth] = shape;
  const int64_t padded = cuda::PaddedByteDepth(depth);
  const bool adds = add == cuda::Add::kYes;  // and has a bias
  Numbers numbers(8);
  for (int64_t n = 0; n < kFeatures; ++n) {
    w.scale.push_back(numbers.Normal(0.01F));
    w.bias.push_back(numbers.Normal());
  }
  const Tensor x = RandomTensor({rows, depth}, numbers),
               y = RandomTensor({rows, kFeatures}, numbers);
  const auto device_x = OnDevice("x", x);
  const simt::Array<int8_t> bytes("bytes", static_cast<size_t>(rows * padded));
  const simt::Array<float> scales("scales", static_cast<size_t>(rows));
  const simt::Array<int32_t> sums("sums", static_cast<size_t>(rows * padded / 32));
  const cuda::ByteRows byte_rows{bytes.data(), scales.data(), sums.data()};
  cuda::RowsAsBytes(
      {device_x.data(), depth, static_cast<int32_t>(rows), static_cast<int32_t>(depth), byte_rows},
      nullptr);
  const simt::Array<uint8_t> q("q", w.q), factors("factors", w.factors);
  const simt::Array<float> scale("scale", w.scale), bias("bias", w.bias);
  const cuda::DeviceBytes weights{q.data(),     four_bits ? factors.data() : nullptr,
                                  scale.data(), adds ? bias.data() : nullptr,
                                  kFeatures,    static_cast<int32_t>(padded)};
  const auto out = InAndOut("y", y);
  cuda::MultiplyBytes({byte_rows, static_cast<int32_t>(rows), weights, add, out.data(), kFeatures},
                      nullptr);
  for (const simt::Report& report : simt::TakeReports()) ADD_FAILURE() << report.message;
  std::vector<uint8_t> want_bytes(static_cast<size_t>(padded));
  for (int64_t r = 0; r < rows; ++r) {
    const float row_scale = RowAsBytes(x.row(r), depth, padded, want_bytes.data());
    ASSERT_EQ(scales[static_cast<size_t>(r)], row_scale);
    for (int64_t k = 0; k < padded; ++k)
      ASSERT_EQ(bytes[static_cast<size_t>(r * padded + k)],
                want_bytes[static_cast<size_t>(k)] - kByteOffset);
    for (int64_t n = 0; n < kFeatures; ++n) {
      int64_t sum = 0;
      for (int64_t k = 0; k < padded; ++k)
        sum += w.values[static_cast<size_t>(n * padded + k)] *
               (want_bytes[static_cast<size_t>(k)] - kByteOffset);
      float want = std::fma(static_cast<float>(sum), w.scale[static_cast<size_t>(n)] * row_scale,
                            adds ? y.row(r)[n] : 0.0F);
      if (adds) want += w.bias[static_cast<size_t>(n)];
      ASSERT_EQ(out[static_cast<size_t>(r * kFeatures + n)], want) << r << ' ' << n;
    }
  }
}

// The way of many rows: weights as bytes, whole sums, then what MultiplyBytes makes of them.
void ExpectManyRowsAreAsFew(const FewBits& w, bool four_bits) {
  constexpr int32_t kFeatures = 9, kPadded = 12, kDepth = 192, kRows = 5;
  Numbers numbers(8);
  const Tensor x = RandomTensor({kRows, kDepth}, numbers),
               y = RandomTensor({kRows, kFeatures}, numbers);
  const auto device_x = OnDevice("x", x);
  const simt::Array<int8_t> bytes("bytes", size_t{kRows} * kDepth);
  const simt::Array<float> scales("scales", kRows);
  const simt::Array<int32_t> group_sums("sums", size_t{kRows} * kDepth / 32);
  const cuda::ByteRows rows{bytes.data(), scales.data(), group_sums.data()};
  cuda::RowsAsBytes({device_x.data(), kDepth, kRows, kDepth, rows}, nullptr);
  std::vector<uint8_t> padded = w.q;
  if (!four_bits) padded.resize(size_t{kPadded} * kDepth);
  const simt::Array<uint8_t> q("q", padded), factors("factors", w.factors);
  const simt::Array<float> scale("scale", std::vector<float>(kFeatures, 0.01F)),
      bias("bias", std::vector<float>(kFeatures, 0.5F));
  const auto few = InAndOut("few", y), many = InAndOut("many", y);
  cuda::MultiplyBytesWork work{rows,
                               kRows,
                               {q.data(), four_bits ? factors.data() : nullptr, scale.data(),
                                bias.data(), kFeatures, kDepth},
                               cuda::Add::kYes,
                               few.data(),
                               kFeatures};
  cuda::MultiplyBytes(work, nullptr);
  const simt::Array<int8_t> expanded("expanded", size_t{kPadded} * kDepth);
  const auto* weights = reinterpret_cast<const int8_t*>(q.data());
  if (four_bits) {
    cuda::Expand({work.w, expanded.data()}, nullptr);
    for (size_t i = 0; i < size_t{kPadded} * kDepth; ++i)
      ASSERT_EQ(expanded[i], i < w.values.size() ? w.values[i] : 0) << i;
    weights = expanded.data();
  }
  const simt::Array<int32_t> sums("whole sums", size_t{kRows} * kPadded);
  cuda::SumBytes({bytes.data(), weights, sums.data(), kPadded, kRows, kPadded, kDepth}, nullptr);
  work.y = many.data();
  cuda::FinishBytes({work, sums.data(), kPadded}, nullptr);
  for (const simt::Report& report : simt::TakeReports()) ADD_FAILURE() << report.message;
  for (size_t i = 0; i < size_t{kRows} * kFeatures; ++i) ASSERT_EQ(many[i], few[i]) << i;
}

TEST(ManyRowsOfBytes, AreAsFewToTheBit) {
  Numbers numbers(7);
  ExpectManyRowsAreAsFew(MakeInt8(9, 192, numbers), false);
  ExpectManyRowsAreAsFew(MakeInt4(9, 192, numbers), true);
}

TEST_P(DeviceBytes, ProductsWithEightBitsAreExactSums) {
  Numbers numbers(7);
  const FewBits w = MakeInt8(9, cuda::PaddedByteDepth(GetParam().depth), numbers);
  ExpectProduct(GetParam(), w, false, cuda::Add::kYes);
  ExpectProduct(GetParam(), w, false, cuda::Add::kNo);
}

TEST_P(DeviceBytes, ProductsWithFourBitsAreExactSums) {
  Numbers numbers(7);
  const FewBits w = MakeInt4(9, cuda::PaddedByteDepth(GetParam().depth), numbers);
  ExpectProduct(GetParam(), w, true, cuda::Add::kYes);
  ExpectProduct(GetParam(), w, true, cuda::Add::kNo);
}

TEST(DeviceBytesAtOddAddresses, AreRefused) {
  const simt::Array<int8_t> bytes("bytes", 128);
  const simt::Array<uint8_t> q("q", std::vector<uint8_t>(256));
  const simt::Array<float> scales("scales", 1), y("y", 1);
  const auto multiply = [&](int8_t* x, const uint8_t* w) {
    cuda::MultiplyBytes({{x, scales.data(), nullptr},
                         1,
                         {w, nullptr, scales.data(), nullptr, 1, 64},
                         cuda::Add::kNo,
                         y.data(),
                         1},
                        nullptr);
  };
  EXPECT_THROW(multiply(bytes.data() + 4, q.data()), Error);
  EXPECT_THROW(multiply(bytes.data(), q.data() + 8), Error);
}

TEST(DeviceBytesOfZeros, HaveScaleZero) {
  const simt::Array<float> x("x", std::vector<float>(64, 0.0F));
  const simt::Array<int8_t> bytes("bytes", 64);
  const simt::Array<float> scales("scales", 1);
  const simt::Array<int32_t> sums("sums", 2);
  cuda::RowsAsBytes({x.data(), 64, 1, 64, {bytes.data(), scales.data(), sums.data()}}, nullptr);
  EXPECT_EQ(scales[0], 0);
  EXPECT_EQ(bytes[63], 0);
  EXPECT_EQ(sums[1], 0);
}

// 127 over the largest number of such a row is infinite; rows that are all but zero are zeros, as on the CPU.
TEST(DeviceBytesOfTinyRows, AreThoseOfTheCpu) {
  constexpr int32_t kDepth = 64;
  const std::vector<float> largest = {1e-34F, 2e-35F, 9e-36F, 1e-38F, 1e-44F};
  std::vector<float> values;
  for (const float most : largest)
    for (int i = 0; i < kDepth; ++i) values.push_back(most * static_cast<float>(i % 7 - 3) / 3);
  const simt::Array<float> x("x", values);
  const simt::Array<int8_t> bytes("bytes", values.size());
  const simt::Array<float> scales("scales", largest.size());
  const simt::Array<int32_t> sums("sums", values.size() / 32);
  const auto rows = static_cast<int32_t>(largest.size());
  cuda::RowsAsBytes({x.data(), kDepth, rows, kDepth, {bytes.data(), scales.data(), sums.data()}},
                    nullptr);
  for (const simt::Report& report : simt::TakeReports()) ADD_FAILURE() << report.message;
  std::vector<uint8_t> want(kDepth);
  for (size_t r = 0; r < largest.size(); ++r) {
    const float scale = RowAsBytes(values.data() + r * kDepth, kDepth, kDepth, want.data());
    EXPECT_EQ(scales[r], scale) << r;
    EXPECT_EQ(scale > 0, r < 2) << r;
    for (size_t k = 0; k < kDepth; ++k)
      ASSERT_EQ(bytes[r * kDepth + k], want[k] - kByteOffset) << r << ' ' << k;
  }
}

// Rows of 100 numbers, 110 apart: padded with zeros to 128, and a number that is not finite spoils its own row alone.
TEST(DeviceBytesOfOddRows, ArePadded) {
  constexpr int32_t kRows = 2, kDepth = 100, kPadded = 128;
  std::vector<float> values(2 * 110, 7.0F);
  for (size_t i = 0; i < values.size(); ++i) values[i] += static_cast<float>(i % 10);
  values[110 + 50] = std::numeric_limits<float>::infinity();
  const simt::Array<float> x("x", values);
  const simt::Array<int8_t> bytes("bytes", size_t{kRows} * kPadded);
  const simt::Array<float> scales("scales", kRows);
  const simt::Array<int32_t> sums("sums", size_t{kRows} * kPadded / 32);
  cuda::RowsAsBytes({x.data(), 110, kRows, kDepth, {bytes.data(), scales.data(), sums.data()}},
                    nullptr);
  for (const simt::Report& report : simt::TakeReports()) ADD_FAILURE() << report.message;
  EXPECT_EQ(scales[0], 16.0F / 127.0F);
  EXPECT_EQ(bytes[9], 127);
  int32_t last_group = 0;
  for (int i = 0; i < kPadded; ++i) {
    if (i >= kDepth) {
      EXPECT_EQ(bytes[static_cast<size_t>(i)], 0) << i;
    }
    if (i >= 96) last_group += bytes[static_cast<size_t>(i)];
  }
  EXPECT_EQ(sums[3], last_group);
  EXPECT_TRUE(std::isnan(scales[1]));
}

}  // namespace
}  // namespace binocle
