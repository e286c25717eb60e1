// The device's ops over rows and its products with bytes, beside the definitions that the CPU's ops are held to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/ops/activation_ref.h"
#include "core/ops/compact_cuda.h"
#include "core/ops/compact_rows.h"
#include "core/ops/norm_ref.h"
#include "core/ops/rope.h"
#include "core/ops/rows_cuda.h"
#include "simt/array.h"
#include "simt/runtime.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;

constexpr double kF32 = 3e-6;        // of numbers of a few units
constexpr double kBf16 = 1.0 / 256;  // relative: rounding to eight bits

simt::Array<float> OnDevice(const char* name, const Tensor& t) {
  return {name, std::vector<float>(t.f32(), t.f32() + t.view().elements())};
}
simt::Array<float> InAndOut(const char* name, const Tensor& t) {
  return simt::Array<float>::Writable(name,
                                      std::vector<float>(t.f32(), t.f32() + t.view().elements()));
}

float AsFloat(float x) { return x; }
float AsFloat(Bf16 x) { return F32FromBf16(x.bits); }

template <typename Out>
void ExpectNear(const simt::Array<Out>& got, const Tensor& want, const char* name) {
  for (const simt::Report& report : simt::TakeReports()) ADD_FAILURE() << report.message;
  for (size_t i = 0; i < got.size(); ++i) {
    const float w = want.f32()[i];
    const double tolerance =
        sizeof(Out) == 2 ? kBf16 * std::abs(w) + kF32 : kF32 * (1 + std::abs(w));
    ASSERT_NEAR(AsFloat(got[i]), w, tolerance) << name << ' ' << i;
  }
}

struct RowsShape {
  int64_t rows, width;
};
class DeviceRows : public ::testing::TestWithParam<RowsShape> {};
INSTANTIATE_TEST_SUITE_P(Awkward, DeviceRows,
                         ::testing::Values(RowsShape{1, 1}, RowsShape{3, 31}, RowsShape{2, 256},
                                           RowsShape{5, 257}, RowsShape{1, 1000}));

template <typename Out>
void ExpectNorms(const RowsShape& shape) {
  Numbers numbers(3);
  const Tensor x = RandomTensor({shape.rows, shape.width}, numbers);
  LayerNormWeights layer{RandomTensor({shape.width}, numbers),
                         RandomTensor({shape.width}, numbers)};
  RmsNormWeights rms{layer.weight.Clone()};
  Tensor want = x.Clone();
  const auto device_x = OnDevice("x", x), weight = OnDevice("weight", layer.weight),
             bias = OnDevice("bias", layer.bias);
  cuda::NormWork work{device_x.data(),
                      weight.data(),
                      bias.data(),
                      1e-5F,
                      static_cast<int32_t>(shape.rows),
                      static_cast<int32_t>(shape.width)};
  const simt::Array<Out> out("out", device_x.size());
  cuda::Norm(work, out.data(), nullptr);
  LayerNormRef(x, layer, want);
  // One number alone is its own mean: what is left is rounding, and it is divided by the root of epsilon.
  ExpectNear(out, want, "layer norm");
  work.bias = nullptr;
  const simt::Array<Out> rms_out("out", device_x.size());
  cuda::Norm(work, rms_out.data(), nullptr);
  RmsNormRef(x, rms, want);
  ExpectNear(rms_out, want, "rms norm");
  if constexpr (sizeof(Out) == sizeof(float)) {
    const auto in_place = InAndOut("x", x);
    work.x = in_place.data();
    cuda::Norm(work, in_place.data(), nullptr);
    ExpectNear(in_place, want, "rms norm in place");
  }
}

TEST_P(DeviceRows, NormsEqualTheReference) {
  ExpectNorms<float>(GetParam());
  ExpectNorms<Bf16>(GetParam());
}

// Heads that are a part of longer rows, a size for each number of a head: the rest of a row is as it was.
template <typename Out>
void ExpectHeadNorms() {
  constexpr int32_t kRows = 3, kHeads = 2, kWidth = 24, kStride = 67, kFirst = 5;
  Numbers numbers(12);
  const Tensor x = RandomTensor({kRows, kStride}, numbers),
               heads = Tensor::F32({kRows * kHeads, kWidth});
  for (int64_t h = 0; h < kRows * kHeads; ++h)
    std::copy_n(x.row(h / kHeads) + kFirst + h % kHeads * kWidth, kWidth, heads.row(h));
  const RmsNormWeights norm{RandomTensor({kWidth}, numbers)};
  const Tensor normed = heads.Clone();
  RmsNormRef(heads, norm, normed);
  const auto device_x = OnDevice("x", x), weight = OnDevice("weight", norm.weight);
  const simt::Array<Out> out = simt::Array<Out>::Writable("out", std::vector<Out>(kRows * kStride));
  cuda::Norm({.x = device_x.data() + kFirst,
              .weight = weight.data(),
              .bias = nullptr,
              .epsilon = 1e-5F,
              .rows = kRows,
              .width = kWidth,
              .heads = kHeads,
              .stride = kStride},
             out.data() + kFirst, nullptr);
  const Tensor want = Tensor::F32({kRows, kStride});
  for (int64_t h = 0; h < kRows * kHeads; ++h)
    std::copy_n(normed.row(h), kWidth, want.row(h / kHeads) + kFirst + h % kHeads * kWidth);
  ExpectNear(out, want, "rms norm of heads");
}

TEST(DeviceHeads, HaveNormsOfTheirOwn) {
  ExpectHeadNorms<float>();
  ExpectHeadNorms<Bf16>();
}

TEST_P(DeviceRows, ActivationsEqualTheReference) {
  Numbers numbers(4);
  const auto& [rows, width] = GetParam();
  const Tensor x = RandomTensor({rows, width}, numbers, 2);
  const auto device_x = OnDevice("x", x);
  for (const Activation kind : {Activation::kGelu, Activation::kGeluTanh, Activation::kQuickGelu}) {
    Tensor want = x.Clone();
    ActivateRef(kind, want);
    const simt::Array<float> out("out", device_x.size());
    cuda::Activate(kind, device_x.data(), rows * width, out.data(), nullptr);
    ExpectNear(out, want, "activation");
    const simt::Array<Bf16> rounded("rounded", device_x.size());
    cuda::Activate(kind, device_x.data(), rows * width, rounded.data(), nullptr);
    ExpectNear(rounded, want, "activation");
  }
  const Tensor gate_up = RandomTensor({rows, 2 * width}, numbers);
  const auto device_gate_up = OnDevice("gate up", gate_up);
  Tensor want = Tensor::F32({rows, width});
  SiluMulRef(gate_up, want);
  const simt::Array<float> out("out", device_x.size());
  cuda::SiluMul({device_gate_up.data(), static_cast<int32_t>(rows), static_cast<int32_t>(width)},
                out.data(), nullptr);
  ExpectNear(out, want, "silu mul");
  const simt::Array<Bf16> rounded("rounded", device_x.size());
  cuda::SiluMul({device_gate_up.data(), static_cast<int32_t>(rows), static_cast<int32_t>(width)},
                rounded.data(), nullptr);
  ExpectNear(rounded, want, "silu mul");
}

TEST_P(DeviceRows, SumsAndEmbeddingsAreThoseOfRows) {
  Numbers numbers(5);
  const auto& [rows, width] = GetParam();
  const Tensor x = RandomTensor({2 * rows, width}, numbers),
               y = RandomTensor({rows, width}, numbers);
  const Tensor gamma = RandomTensor({width}, numbers);
  const auto device_y = OnDevice("y", y), device_gamma = OnDevice("gamma", gamma);
  const auto out = InAndOut("x", x);
  cuda::AddRows({device_y.data(), device_gamma.data(), static_cast<int32_t>(2 * rows),
                 static_cast<int32_t>(rows), static_cast<int32_t>(width)},
                out.data(), nullptr);
  Tensor want = x.Clone();
  for (int64_t t = 0; t < 2 * rows; ++t)
    for (int64_t i = 0; i < width; ++i) want.row(t)[i] += gamma.f32()[i] * y.row(t % rows)[i];
  ExpectNear(out, want, "sum");
  const auto plain = InAndOut("x", x);
  cuda::AddRows({device_y.data(), nullptr, static_cast<int32_t>(2 * rows),
                 static_cast<int32_t>(rows), static_cast<int32_t>(width)},
                plain.data(), nullptr);
  want = x.Clone();
  for (int64_t t = 0; t < 2 * rows; ++t)
    for (int64_t i = 0; i < width; ++i) want.row(t)[i] += y.row(t % rows)[i];
  ExpectNear(plain, want, "sum");
  // What sampling writes of a sequence whose logits are broken is a row of zeros, and no place before the table.
  const simt::Array<int32_t> ids("ids",
                                 std::vector<int32_t>{static_cast<int32_t>(rows - 1), -1, 0, -2});
  const simt::Array<float> embedded("embedded", static_cast<size_t>(4 * width));
  cuda::EmbeddingRows({ids.data(), 4, static_cast<int32_t>(width)}, device_y.data(),
                      embedded.data(), nullptr);
  Tensor rows_of_y = Tensor::F32({4, width});
  std::copy_n(y.row(rows - 1), width, rows_of_y.row(0));
  std::copy_n(y.row(0), width, rows_of_y.row(2));
  ExpectNear(embedded, rows_of_y, "embedding");
  std::vector<Bf16> rounded;
  for (int64_t i = 0; i < rows * width; ++i) rounded.push_back(Bf16FromF32(y.f32()[i]));
  const simt::Array<Bf16> table("rounded y", rounded);
  const simt::Array<float> of_rounded("embedded", static_cast<size_t>(4 * width));
  cuda::EmbeddingRows({ids.data(), 4, static_cast<int32_t>(width)}, table.data(), of_rounded.data(),
                      nullptr);
  for (size_t i = 0; i < of_rounded.size(); ++i)
    ASSERT_EQ(of_rounded[i], F32FromBf16(Bf16FromF32(rows_of_y.f32()[i]).bits)) << i;
}

TEST(DeviceRope, EqualsTheCpu) {
  constexpr int64_t kRows = 7, kHeads = 3, kDim = 24;
  Numbers numbers(6);
  const Tensor x = RandomTensor({kRows, kHeads * kDim}, numbers);
  const std::vector<int32_t> positions = {0, 5, 2, 31, 1, 1, 30};
  const RopeTable table = RopeTable::Make(kDim, {}, 32);
  Tensor want = x.Clone();
  Exec ex(1);
  Rope(ex, table, positions, want);
  const auto device_x = OnDevice("x", x), c = OnDevice("cos", table.cos),
             s = OnDevice("sin", table.sin);
  const simt::Array<int32_t> device_positions("positions", positions);
  const cuda::RopeWork work{.cos = c.data(),
                            .sin = s.data(),
                            .positions = device_positions.data(),
                            .rows = kRows,
                            .heads = kHeads,
                            .head_dim = kDim,
                            .x = device_x.data(),
                            .x_stride = kHeads * kDim,
                            .out_stride = kHeads * kDim};
  const simt::Array<float> out("out", device_x.size());
  cuda::Rope(work, out.data(), nullptr);
  ExpectNear(out, want, "rope");
  const simt::Array<Bf16> rounded("rounded", device_x.size());
  cuda::Rope(work, rounded.data(), nullptr);
  ExpectNear(rounded, want, "rope");
  // In place, of heads that are a part of longer rows.
  const Tensor wide = RandomTensor({kRows, (kHeads + 1) * kDim}, numbers);
  want = wide.Clone();
  Rope(ex, table, positions, want.view().Columns(kDim, (kHeads + 1) * kDim));
  const auto in_place = InAndOut("x", wide);
  cuda::RopeWork of_part = work;
  of_part.x = in_place.data() + kDim;
  of_part.x_stride = of_part.out_stride = (kHeads + 1) * kDim;
  cuda::Rope(of_part, in_place.data() + kDim, nullptr);
  ExpectNear(in_place, want, "rope in place");
}

TEST_P(DeviceRows, MixturesAndRoundedRowsAreThoseOfElements) {
  Numbers numbers(9);
  const auto rows = static_cast<int32_t>(GetParam().rows),
             width = static_cast<int32_t>(GetParam().width);
  const Tensor x = RandomTensor({rows, width + 3}, numbers),
               y = RandomTensor({rows, width}, numbers);
  const auto device_x = OnDevice("x", x), device_y = OnDevice("y", y);
  const simt::Array<float> mixed("mixed", static_cast<size_t>(rows * width));
  cuda::MixRows({device_x.data() + 1, device_y.data(), 0.25F, -2, rows, width, width + 3, width,
                 mixed.data(), width},
                nullptr);
  Tensor want = Tensor::F32({rows, width});
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < width; ++i) want.row(t)[i] = 0.25F * x.row(t)[i + 1] - 2 * y.row(t)[i];
  ExpectNear(mixed, want, "mix");
  const auto scaled = InAndOut("y", y);
  cuda::MixRows({scaled.data(), nullptr, 0.5F, 0, rows, width, width, width, scaled.data(), width},
                nullptr);
  for (size_t i = 0; i < scaled.size(); ++i) ASSERT_EQ(scaled[i], 0.5F * y.f32()[i]);
  const simt::Array<Bf16> rounded("rounded", static_cast<size_t>(rows * width));
  cuda::RoundRows({device_x.data() + 1, width + 3, rows, width, rounded.data(), 0.3F}, nullptr);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < width; ++i)
      ASSERT_EQ(rounded[static_cast<size_t>(t * width + i)].bits,
                Bf16FromF32(0.3F * x.row(t)[i + 1]).bits);
  EXPECT_TRUE(simt::TakeReports().empty());
}

TEST(DeviceGrids, AreResampledByFourRowsEach) {
  constexpr int32_t kWidth = 37;
  Numbers numbers(10);
  const Tensor x = RandomTensor({6, kWidth}, numbers);
  const auto device_x = OnDevice("x", x);
  const std::vector<cuda::ResampleTap> taps = {
      {{0, 1, 3, 4}, {0.25F, 0.5F}}, {{5, 5, 5, 5}, {0, 0}}, {{1, 2, 4, 5}, {1, 0.125F}}};
  const simt::Array<cuda::ResampleTap> device_taps("taps", taps);
  const simt::Array<float> out("out", 3 * kWidth);
  cuda::ResampleRows({device_x.data(), device_taps.data(), 3, kWidth, out.data()}, nullptr);
  Tensor want = Tensor::F32({3, kWidth});
  for (int64_t t = 0; t < 3; ++t) {
    const auto& [row, weight] = taps[static_cast<size_t>(t)];
    const float of[4] = {(1 - weight[0]) * (1 - weight[1]), weight[0] * (1 - weight[1]),
                         (1 - weight[0]) * weight[1], weight[0] * weight[1]};
    for (int64_t i = 0; i < kWidth; ++i)
      for (int64_t r = 0; r < 4; ++r) want.row(t)[i] += of[r] * x.row(row[r])[i];
  }
  ExpectNear(out, want, "resampled");
}

TEST_P(DeviceRows, PeaksAreOfTheDimensionsThatAreAskedFor) {
  Numbers numbers(11);
  const auto& [rows, width] = GetParam();
  const Tensor x = RandomTensor({rows, width}, numbers);
  const auto device_x = OnDevice("x", x);
  const simt::Array<int32_t> dims("dims", std::vector<int32_t>{static_cast<int32_t>(width - 1),
                                                               static_cast<int32_t>(width / 2)});
  const simt::Array<float> out("out", static_cast<size_t>(2 * rows));
  cuda::PeaksOfRows({device_x.data(), dims.data(), 2, static_cast<int32_t>(rows),
                     static_cast<int32_t>(width), out.data()},
                    nullptr);
  Tensor want = Tensor::F32({rows, 2});
  for (int64_t t = 0; t < rows; ++t) {
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += double{x.row(t)[i]} * x.row(t)[i];
    want.row(t)[0] = std::max(std::abs(x.row(t)[width - 1]), std::abs(x.row(t)[width / 2]));
    want.row(t)[1] = static_cast<float>(squares / static_cast<double>(width));
  }
  ExpectNear(out, want, "peaks");
}

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
