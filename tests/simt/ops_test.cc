// The device's ops over rows, beside the definitions that the CPU's ops are held to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/ops/activation_ref.h"
#include "core/ops/norm_ref.h"
#include "core/ops/rope.h"
#include "core/ops/rows_cuda.h"
#include "simt/array.h"
#include "simt/runtime.h"
#include "tests/simt/on_device.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;

constexpr double kF32 = 3e-6;        // of numbers of a few units
constexpr double kBf16 = 1.0 / 256;  // relative: rounding to eight bits

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

}  // namespace
}  // namespace binocle
