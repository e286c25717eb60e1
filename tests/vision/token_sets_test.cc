#include "vision/token_sets.h"

#include <gtest/gtest.h>

namespace binocle {
namespace {

TEST(LargestPatches, TakesTheLargestAndOfEqualOnesTheFirst) {
  const std::vector<float> values = {3, 1, 5, 3, 5, 0};
  EXPECT_EQ(LargestPatches(values, 0), (std::vector<int64_t>{}));
  EXPECT_EQ(LargestPatches(values, 1), (std::vector<int64_t>{2}));
  EXPECT_EQ(LargestPatches(values, 3), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(LargestPatches(values, 99).size(), 6U);
}

TEST(OutlierCount, CountsWhatLiesAboveTheUpperFence) {
  // numpy: percentiles 25 and 75 of these are 2.25 and 6.75, so the fence is 13.5
  std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7, 13.4F, 13.6F};
  EXPECT_EQ(OutlierCount(values), 1);
  values.back() = 13.5F;  // on the fence is not above it
  EXPECT_EQ(OutlierCount(values), 0);
  EXPECT_EQ(OutlierCount(std::vector<float>(20, 7.0F)), 0);
}

TEST(SelectTokens, SummaryPatchesAreNotBoosted) {
  PatchAttention a;
  for (int i = 0; i < 20; ++i) {
    a.first_class.push_back(static_cast<float>(i));  // local: the highest indices
    a.late_class.push_back(i == 19 ? 100.0F : 1.0F + static_cast<float>(i) * 0.01F);
    a.received.push_back(static_cast<float>(20 - i));  // spatial: the lowest indices
  }
  const TokenSets sets = SelectTokens(a, 0.25, 0.1);
  EXPECT_EQ(sets.summary, (std::vector<int64_t>{19}));
  EXPECT_EQ(sets.boosted, (std::vector<int64_t>{0, 1, 15, 16, 17, 18}));
  EXPECT_EQ(SelectTokens(a, 0.25, 0).boosted, (std::vector<int64_t>{15, 16, 17, 18}));
  EXPECT_TRUE(SelectTokens(a, 0, 0).boosted.empty());
}

}  // namespace
}  // namespace binocle
