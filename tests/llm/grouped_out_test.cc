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

constexpr int64_t kHeads = 6, kKvHeads = 2, kHeadDim = 20, kWidth = 70;

// [T, K·d] -> [T, H·d]
Tensor Repeated(const Tensor& v) {
  Tensor out = Tensor::F32({v.dim(0), kHeads * kHeadDim});
  for (int64_t t = 0; t < v.dim(0); ++t)
    for (int64_t h = 0; h < kHeads; ++h)
      std::copy_n(v.row(t) + h / (kHeads / kKvHeads) * kHeadDim, kHeadDim,
                  out.row(t) + h * kHeadDim);
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
      const Tensor weight = RandomTensor({kWidth, kHeads * kHeadDim}, numbers);
      const Tensor bias = RandomTensor({kWidth}, numbers);
      const Tensor v = RandomTensor({30, kKvHeads * kHeadDim}, numbers);
      const LinearWeights out =
          PackLinear(ex, {{.weight = weight, .bias = has_bias ? bias.view() : TensorView()}}, kind);
      const LinearWeights sums = SumOverGroups(ex, out, kKvHeads, kHeadDim);
      EXPECT_EQ(sums.k, kKvHeads * kHeadDim);
      const Tensor want = Tensor::F32({30, kWidth}), got = Tensor::F32({30, kWidth});
      Linear(ex, Repeated(v), out, want);
      Linear(ex, v, sums, got);
      // Of sums of 120 products of numbers up to one, about 12 in size.
      EXPECT_LT(LargestDifference(want, got), tolerance) << WeightKindName(kind);
      if (!has_bias) continue;
      EXPECT_EQ(GroupedOutBytes(3, kWidth, kHeads, kKvHeads, kHeadDim, kind), 3 * sums.bytes());
    }
  }
}

TEST(GroupedOut, IsMadeOnceAndNotWhereHeadsHaveValuesOfTheirOwn) {
  Numbers numbers(8);
  Exec ex(2);
  const Tensor weight = RandomTensor({kWidth, kHeads * kHeadDim}, numbers);
  const LinearWeights out = PackLinear(ex, {{.weight = weight, .bias = {}}});
  const GroupedOuts own(2, kHeads, kHeadDim), shared(2, kKvHeads, kHeadDim);
  EXPECT_EQ(&own.Of(ex, 1, out), &out);
  EXPECT_EQ(GroupedOutBytes(2, kWidth, kHeads, kHeads, kHeadDim, WeightKind::kF32), 0);
  const LinearWeights& sums = shared.Of(ex, 1, out);
  EXPECT_NE(&sums, &out);
  EXPECT_EQ(&shared.Of(ex, 1, out), &sums);
  EXPECT_TRUE(SameBits(shared.Of(ex, 0, out).packed, sums.packed));
}

}  // namespace
}  // namespace binocle
