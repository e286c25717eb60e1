#include "core/ops/norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops/norm_ref.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::Numbers;
using testing::RandomTensor;

class NormWidths : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Awkward, NormWidths,
                         ::testing::Values(1, 2, 7, 15, 16, 17, 64, 191, 1024, 4097));

TEST_P(NormWidths, LayerNormEqualsItsDefinition) {
  Numbers numbers(1);
  const int64_t width = GetParam();
  const LayerNormWeights w{.weight = RandomTensor({width}, numbers),
                           .bias = RandomTensor({width}, numbers),
                           .epsilon = 1e-5F};
  Tensor x = RandomTensor({37, width}, numbers, 3);
  for (int64_t i = 0; i < width; ++i) x.row(5)[i] += 100;  // a mean far from zero
  Tensor got = Tensor::F32({37, width}, "out"), want = Tensor::F32({37, width}, "out");
  Exec ex(2);
  LayerNorm(ex, x, w, got);
  LayerNormRef(x, w, want);
  // Subtracting a mean of 100 costs seven bits in any f32 implementation; the row is checked by itself.
  EXPECT_TRUE(Near(got.view().Rows(0, 5), want.view().Rows(0, 5), "norm"));
  EXPECT_TRUE(Near(got.view().Rows(6, 37), want.view().Rows(6, 37), "norm"));
  for (int64_t i = 0; i < width && width > 2; ++i) EXPECT_NEAR(got.row(5)[i], want.row(5)[i], 1e-3);
}

TEST_P(NormWidths, RmsNormEqualsItsDefinitionInPlaceToo) {
  Numbers numbers(2);
  const int64_t width = GetParam();
  const RmsNormWeights w{.weight = RandomTensor({width}, numbers), .epsilon = 1e-6F};
  Tensor x = RandomTensor({33, width}, numbers, 2);
  Tensor want = Tensor::F32({33, width}, "out");
  RmsNormRef(x, w, want);
  Exec ex(2);
  RmsNorm(ex, x, w, x);
  EXPECT_TRUE(Near(x, want, "norm"));
}

TEST(Norm, EachHeadIsNormalisedByItself) {
  Numbers numbers(3);
  const RmsNormWeights w{.weight = RandomTensor({10}, numbers), .epsilon = 1e-6F};
  Tensor x = RandomTensor({33, 50}, numbers, 2);
  const TensorView heads = x.view().Columns(10, 40);  // three of five, in strided rows
  Tensor want = x.Clone();
  for (int64_t begin = 10; begin < 40; begin += 10) {
    const TensorView head = want.view().Columns(begin, begin + 10);
    Exec one(1);
    RmsNorm(one, head, w, head);
  }
  Exec ex(2);
  HeadRmsNorm(ex, w, heads);
  EXPECT_TRUE(testing::SameBits(x, want));
}

TEST(Norm, EpsilonDecidesAtZero) {
  const RmsNormWeights w{.weight =
                             [] {
                               Tensor t = Tensor::F32({4});
                               std::fill_n(t.f32(), 4, 1.0F);
                               return t;
                             }(),
                         .epsilon = 1e-4F};
  Tensor x = Tensor::F32({1, 4});
  x.f32()[0] = 1e-3F;
  Exec ex(1);
  RmsNorm(ex, x, w, x);
  EXPECT_NEAR(x.f32()[0], 1e-3 / std::sqrt(1e-6 / 4 + 1e-4), 1e-6);
}

}  // namespace
}  // namespace binocle
