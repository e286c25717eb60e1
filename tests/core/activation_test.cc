#include "core/ops/activation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops/activation_ref.h"
#include "core/ops/linear_activate.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

class ActivationKinds : public ::testing::TestWithParam<Activation> {};
INSTANTIATE_TEST_SUITE_P(All, ActivationKinds,
                         ::testing::Values(Activation::kGelu, Activation::kGeluTanh,
                                           Activation::kQuickGelu));

TEST_P(ActivationKinds, EqualsItsDefinitionFromMinusTwelveToTwelve) {
  Tensor x = Tensor::F32({49, 491}, "y");  // an awkward width
  for (int64_t i = 0; i < 49 * 491; ++i)
    x.f32()[i] = -12.0F + 24.0F * static_cast<float>(i) / (49 * 491);
  Tensor want = x.Clone();
  ActivateRef(GetParam(), want);
  Exec ex(2);
  Activate(ex, GetParam(), x);
  EXPECT_TRUE(Near(x, want, "activation"));
}

TEST_P(ActivationKinds, IsFiniteAndRightFarOut) {
  Tensor x = Tensor::F32({1, 6});
  const float values[] = {-1e4F, -100, 0, 100, 1e4F, 3e38F};
  std::copy(values, values + 6, x.f32());
  Exec ex(1);
  Activate(ex, GetParam(), x);
  EXPECT_NEAR(x.f32()[0], 0, 1e-30);
  EXPECT_NEAR(x.f32()[1], 0, 1e-30);
  EXPECT_EQ(x.f32()[2], 0);
  EXPECT_EQ(x.f32()[3], 100);
  EXPECT_EQ(x.f32()[4], 1e4F);
  EXPECT_EQ(x.f32()[5], 3e38F);
}

TEST(Activation, TheKindsDiffer) {
  Tensor a = Tensor::F32({1, 1}), b = Tensor::F32({1, 1}), c = Tensor::F32({1, 1});
  a.f32()[0] = b.f32()[0] = c.f32()[0] = 1;
  Exec ex(1);
  Activate(ex, Activation::kGelu, a);
  Activate(ex, Activation::kQuickGelu, b);
  Activate(ex, Activation::kGeluTanh, c);
  EXPECT_NEAR(a.f32()[0], 0.8413447, 1e-6);
  EXPECT_NEAR(b.f32()[0], 0.8457958, 1e-6);
  EXPECT_NEAR(c.f32()[0], 0.8411920, 1e-6);
}

TEST(SiluMul, EqualsItsDefinition) {
  Numbers numbers(1);
  for (const int64_t width : {1, 15, 16, 40, 129}) {
    const Tensor x = RandomTensor({19, 2 * width}, numbers, 4);
    Tensor got = Tensor::F32({19, width}, "out"), want = Tensor::F32({19, width}, "out");
    Exec ex(2);
    SiluMul(ex, x, got);
    SiluMulRef(x, want);
    EXPECT_TRUE(Near(got, want, "activation"));
  }
}

TEST(Activation, AnElementDoesNotDependOnItsPlaceInTheRow) {
  Numbers numbers(2);
  Tensor whole = RandomTensor({1, 67}, numbers);
  Tensor tail = Tensor::F32({1, 3});
  std::copy(whole.f32() + 64, whole.f32() + 67, tail.f32());
  Tensor head = Tensor::F32({1, 64});
  std::copy(whole.f32() + 3, whole.f32() + 67, head.f32());
  Exec ex(1);
  Activate(ex, Activation::kGelu, whole);
  Activate(ex, Activation::kGelu, tail);
  Activate(ex, Activation::kGelu, head);
  EXPECT_TRUE(SameBits(tail, whole.view().Columns(64, 67)));
  EXPECT_TRUE(SameBits(head, whole.view().Columns(3, 67)));
}

// A panel at a time while it is near, or a row at a time afterwards.
TEST_P(ActivationKinds, OnTheirWayOutOfAProductAreTheSameBits) {
  Numbers numbers(11);
  Exec ex(2);
  for (const WeightKind kind :
       {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8, WeightKind::kInt4}) {
    for (const int64_t n : {5, 64, 131, 1000}) {
      for (const int64_t rows : {1, 3, 40, 300}) {
        const Tensor weight = RandomTensor({n, 96}, numbers), bias = RandomTensor({n}, numbers);
        const Tensor x = RandomTensor({rows, 96}, numbers);
        const LinearWeights w = PackLinear(ex, {{.weight = weight, .bias = bias}}, kind);
        const Tensor want = Tensor::F32({rows, n}), got = Tensor::F32({rows, n});
        Linear(ex, x, w, want);
        Activate(ex, GetParam(), want);
        LinearActivate(ex, x, w, GetParam(), got);
        EXPECT_TRUE(SameBits(got, want)) << WeightKindName(kind) << " " << rows << " × " << n;
      }
    }
  }
}

}  // namespace
}  // namespace binocle
