#include "fusion/resample.h"

#include <gtest/gtest.h>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

TEST(ResampleBilinear, TwoByTwoToThreeByThreeByHand) {
  // Half-pixel centres: outputs at −1/6, 1/2, 7/6 of the input; the outer ones are clamped.
  Tensor in = Tensor::F32({4, 1});
  const float values[] = {0, 1, 10, 11};
  std::copy(values, values + 4, in.f32());
  Tensor out = Tensor::F32({9, 1});
  Exec ex(2);
  ResampleBilinear(ex, in, {2, 2}, {3, 3}, out);
  const float want[] = {0, 0.5F, 1, 5, 5.5F, 6, 10, 10.5F, 11};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(out.f32()[i], want[i], 1e-6) << i;
}

TEST(ResampleBilinear, SameGridIsTheIdentityAndConstantsStay) {
  testing::Numbers numbers(1);
  const Tensor in = testing::RandomTensor({12, 5}, numbers);
  Tensor out = Tensor::F32({12, 5}, "out");
  Exec ex(2);
  ResampleBilinear(ex, in, {3, 4}, {3, 4}, out);
  EXPECT_TRUE(testing::SameBits(out, in));
  Tensor flat = Tensor::F32({12, 5});
  std::fill_n(flat.f32(), 60, 3.0F);
  Tensor big = Tensor::F32({70, 5});
  ResampleBilinear(ex, flat, {3, 4}, {7, 10}, big);
  for (int64_t i = 0; i < 350; ++i) EXPECT_FLOAT_EQ(big.f32()[i], 3);
}

}  // namespace
}  // namespace binocle
