#include "core/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/convert.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Numbers;
using testing::RandomTensor;

TensorSet Stored() {
  Numbers numbers(1);
  TensorSet set;
  set.Add("net.proj.weight", RandomTensor({4, 6}, numbers));
  set.Add("net.proj.bias", RandomTensor({4}, numbers));
  set.Add("net.norm.weight", RandomTensor({6}, numbers));
  return set;
}

std::string ErrorOf(const TensorSet& set, const NameMap& names,
                    const std::function<void(WeightBinder&)>& bind) {
  return testing::ErrorOf([&] { CheckWeights(set, names, "models/x", bind); });
}

TEST(Weights, AllProblemsAreReportedAtOnce) {
  TensorSet set = Stored();
  set.Add("left.over", Tensor::F32({1}));
  Tensor bad = Tensor::F32({3});
  bad.f32()[1] = NAN;
  set.Add("net.bad", std::move(bad));
  const std::string error = ErrorOf(set, {}, [](WeightBinder& b) {
    WeightBinder net = b.Under("net.");
    net.Linear({{"proj", 5}}, 6, Bias::kPresent, "width=5");
    net.RmsNorm("norm", 6, 1e-5F, "width=6");
    net.F32("absent", {2}, "");
    net.F32("bad", {3}, "");
  });
  EXPECT_THAT(
      error,
      AllOf(HasSubstr("models/x: the weights do not fit"), HasSubstr("1 missing: net.absent"),
            HasSubstr("net.proj.weight is f32 [4, 6], expected [5, 6]"), HasSubstr("(width=5)"),
            HasSubstr("1 not finite: net.bad element 1"), HasSubstr("1 unexpected: left.over")));
}

TEST(Weights, IgnoredTensorsMayBeThereOrNot) {
  const auto bind = [](WeightBinder& b) {
    b.IgnoreUnder("net.proj.");
    b.Ignore("net.nothing");
    b.F32("net.norm.weight", {6}, "");
  };
  EXPECT_EQ(ErrorOf(Stored(), {}, bind), "no error");
}

TEST(Weights, NamesOfAFamilyAreTranslatedAndErrorsUseTheFilesSpelling) {
  const NameMap names{{{"tower.", "net."}}};
  EXPECT_THAT(ErrorOf(Stored(), names, [](WeightBinder& b) { b.F32("tower.none", {1}, ""); }),
              HasSubstr("missing: net.none"));
  Exec ex(1);
  Tensor norm;
  LoadWeights(ex, Stored(), names,
              [&](WeightBinder& b) { norm = b.F32("tower.norm.weight", {6}, ""); });
  EXPECT_EQ(norm.dim(0), 6);
}

TEST(Weights, ThePlanIsWhatLoadingTakes) {
  const TensorSet set = Stored();
  LinearWeights linear;
  Tensor norm;
  const auto bind = [&](WeightBinder& b) {
    linear = b.Under("net.").Linear({{"proj", 4}}, 6, Bias::kPresent, "");
    norm = b.F32("net.norm.weight", {6}, "");
  };
  const auto plan = CheckWeights(set, {}, "x", bind);
  EXPECT_TRUE(linear.packed.empty()) << "checking loads nothing";
  Exec ex(1);
  LoadWeights(ex, set, {}, bind);
  EXPECT_EQ(plan.at("net").bytes, linear.bytes() + norm.bytes());
  EXPECT_EQ(plan.at("net").parameters, 4 * 6 + 4 + 6);
}

TEST(Weights, MatricesInBlocksStayInTheFileAndThePlanSaysSo) {
  Numbers numbers(2);
  TensorSet set;
  set.Add("net.table.weight", testing::RandomBlocks(DType::kQ4K, {3, 256}, numbers));
  set.Add("net.proj.weight", testing::RandomBlocks(DType::kQ80, {4, 32}, numbers));
  set.Add("net.proj.bias", RandomTensor({4}, numbers));
  LinearWeights head, proj;
  TensorView table;
  const auto bind = [&](WeightBinder& b) {
    table = b.Stored("net.table.weight", {3, 256}, "").view;
    head = b.Linear({{"net.table", 3}}, 256, Bias::kAbsent, "");
    proj = b.Linear({{"net.proj", 4, {.interleaved_head = 4}}}, 32, Bias::kPresent, "");
  };
  const auto plan = CheckWeights(set, {}, "x", bind);
  Exec ex(1);
  LoadWeights(ex, set, {}, bind);
  EXPECT_EQ(plan.at("net").bytes, head.bytes() + proj.bytes());
  EXPECT_EQ(plan.at("net").bytes, 4 * 4);
  EXPECT_EQ(plan.at("net").in_place_bytes, 3 * 144 + 4 * 34)
      << "a table that is a head counts once";
  EXPECT_EQ(plan.at("net").parameters, 3 * 256 + 4 * 32 + 4);
  EXPECT_EQ(head.in_place.at(0).weight.data(), table.data());
}

TEST(Weights, OfKindBlocksWhatIsNotInBlocksIsPackedAsInt8) {
  Numbers numbers(4);
  TensorSet set;
  set.Add("net.q.weight", testing::RandomBlocks(DType::kQ4K, {8, 256}, numbers));
  set.Add("net.v.weight", testing::RandomBlocks(DType::kQ6K, {4, 256}, numbers));
  set.Add("net.plain.weight", RandomTensor({4, 256}, numbers));
  LinearWeights stacked, mixed, plain;
  const auto bind = [&](WeightBinder& b) {
    WeightBinder net = b.Under("net.");
    stacked = net.Linear({{"q", 8}, {"v", 4}}, 256, Bias::kAbsent, "");
    mixed = net.Linear({{"v", 4}, {"plain", 4}}, 256, Bias::kAbsent, "");
    plain = net.Linear({{"plain", 4}}, 256, Bias::kAbsent, "");
  };
  const KindsByName kinds{{{"", WeightKind::kBlocks}}};
  const auto plan = CheckWeights(set, {}, kinds, "x", bind);
  Exec ex(1);
  LoadWeights(ex, set, {}, kinds, bind);
  EXPECT_EQ(stacked.in_place_kind, WeightKind::kBlocks);
  EXPECT_EQ(stacked.in_place.size(), 2u);
  EXPECT_EQ(mixed.compact.kind, WeightKind::kInt8);
  EXPECT_EQ(plain.compact.kind, WeightKind::kInt8);
  EXPECT_EQ(plan.at("net").bytes, stacked.bytes() + mixed.bytes() + plain.bytes());
  EXPECT_EQ(plan.at("net").in_place_bytes, 8 * 144 + 4 * 210);
}

TEST(Weights, ABlockWithAScaleThatIsNotFiniteIsFound) {
  Numbers numbers(3);
  TensorSet set;
  Tensor bad = testing::RandomBlocks(DType::kQ41, {2, 64}, numbers);
  const uint16_t infinity = 0x7C00;
  std::memcpy(static_cast<char*>(bad.view().data()) + 3 * 20 + 2, &infinity, 2);
  set.Add("net.weight", std::move(bad));
  EXPECT_THAT(ErrorOf(set, {},
                      [](WeightBinder& b) {
                        b.Linear({{"net", 2}}, 64, Bias::kAbsent, "");
                      }),
              HasSubstr("1 not finite: net.weight element 96"));
}

// Long tensors are looked through by their bits, 4,096 at a time, and what is left by values.
TEST(Weights, ANumberThatIsNotFiniteIsFoundWhereverItIs) {
  constexpr int64_t kCount = 3 * 4096 + 77;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const float largest = dtype == DType::kF16 ? 65504.0F : 3.0e38F;
    for (const int64_t at : {int64_t{0}, int64_t{4095}, int64_t{4096}, int64_t{9000}, kCount - 1}) {
      for (const float wrong : {INFINITY, -INFINITY, NAN, -NAN, largest, -largest}) {
        TensorSet set;
        Tensor numbers(dtype, {kCount}, "numbers");
        const std::vector<float> rest(kCount, -0.5F);
        WriteFromF32(rest.data(), kCount, dtype, numbers.view().data());
        WriteFromF32(&wrong, 1, dtype,
                     static_cast<char*>(numbers.view().data()) + at * DTypeSize(dtype));
        set.Add("numbers", std::move(numbers));
        const std::string error =
            ErrorOf(set, {}, [](WeightBinder& b) { b.F32("numbers", {kCount}, ""); });
        const std::string found = "1 not finite: numbers element " + std::to_string(at);
        EXPECT_EQ(error.find(found) != std::string::npos, !std::isfinite(wrong))
            << DTypeName(dtype) << " " << wrong << " at " << at << ": " << error;
      }
    }
  }
}

TEST(Weights, ATensorInTwoFilesIsAnError) {
  TensorSet set = Stored();
  const Tensor other = Tensor::F32({1});
  EXPECT_THROW(set.Add("net.proj.bias", other, nullptr, "shard 2"), Error);
}

}  // namespace
}  // namespace binocle
