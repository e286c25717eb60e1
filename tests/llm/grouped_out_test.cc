// Wo for values that query heads share, beside Wo of values repeated.
#include "llm/grouped_out.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

constexpr int64_t kOutHeads = 6, kOutKvHeads = 2, kOutHeadDim = 20, kOutWidth = 70;

// [T, K·d] -> [T, H·d]
Tensor Repeated(const Tensor& v) {
  Tensor out = Tensor::F32({v.dim(0), kOutHeads * kOutHeadDim});
  for (int64_t t = 0; t < v.dim(0); ++t)
    for (int64_t h = 0; h < kOutHeads; ++h)
      std::copy_n(v.row(t) + h / (kOutHeads / kOutKvHeads) * kOutHeadDim, kOutHeadDim,
                  out.row(t) + h * kOutHeadDim);
  return out;
}

double LargestDifference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (int64_t i = 0; i < a.view().elements(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a.f32()[i]) - b.f32()[i]));
  return largest;
}

TEST(GroupedOut, IsTheProductWithRepeatedValues) {
  const std::vector<std::pair<WeightKind, double>> tolerances = {{WeightKind::kF32, 2e-5},
                                                                 {WeightKind::kBf16, 0.3},
                                                                 {WeightKind::kInt8, 0.6},
                                                                 {WeightKind::kInt4, 0.6}};
  for (const auto& [kind, tolerance] : tolerances) {
    for (const bool has_bias : {false, true}) {
      Numbers numbers(7);
      Exec ex(2);
      const Tensor weight = RandomTensor({kOutWidth, kOutHeads * kOutHeadDim}, numbers);
      const Tensor bias = RandomTensor({kOutWidth}, numbers);
      const Tensor v = RandomTensor({30, kOutKvHeads * kOutHeadDim}, numbers);
      const LinearWeights out =
          PackLinear(ex, {{.weight = weight, .bias = has_bias ? bias.view() : TensorView()}}, kind);
      const LinearWeights sums = SumOverGroups(ex, out, kOutKvHeads, kOutHeadDim);
      EXPECT_EQ(sums.k, kOutKvHeads * kOutHeadDim);
      const Tensor want = Tensor::F32({30, kOutWidth}), got = Tensor::F32({30, kOutWidth});
      Linear(ex, Repeated(v), out, want);
      Linear(ex, v, sums, got);
      // Of sums of 120 products of numbers up to one, about 12 in size.
      EXPECT_LT(LargestDifference(want, got), tolerance) << WeightKindName(kind);
      if (!has_bias) continue;
      EXPECT_EQ(GroupedOutBytes(3, kOutWidth, kOutHeads, kOutKvHeads, kOutHeadDim, kind),
                3 * sums.bytes());
    }
  }
}

TEST(GroupedOut, IsMadeOnceAndNotWhereHeadsHaveValuesOfTheirOwn) {
  Numbers numbers(8);
  Exec ex(2);
  const Tensor weight = RandomTensor({kOutWidth, kOutHeads * kOutHeadDim}, numbers);
  const LinearWeights out = PackLinear(ex, {{.weight = weight, .bias = {}}});
  const GroupedOuts own(2, kOutHeads, kOutHeadDim), shared(2, kOutKvHeads, kOutHeadDim);
  EXPECT_EQ(&own.Of(ex, 1, out), &out);
  EXPECT_EQ(GroupedOutBytes(2, kOutWidth, kOutHeads, kOutHeads, kOutHeadDim, WeightKind::kF32), 0);
  const LinearWeights& sums = shared.Of(ex, 1, out);
  EXPECT_NE(&sums, &out);
  EXPECT_EQ(&shared.Of(ex, 1, out), &sums);
  EXPECT_TRUE(SameBits(shared.Of(ex, 0, out).packed, sums.packed));
}

}  // namespace
}  // namespace binocle
