#include "attention/head_epilogue.h"

#include <gtest/gtest.h>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

TEST(HeadEpilogue, FactorsOfOneAndNoneAreTheIdentity) {
  Numbers numbers(1);
  Tensor z = RandomTensor({40, 6 * 10}, numbers);
  const Tensor before = z.Clone(), v = RandomTensor({40, 2 * 10}, numbers);
  Tensor ones = Tensor::F32({40, 6}), zeros = Tensor::F32({40, 6});
  std::fill_n(ones.f32(), 240, 1.0F);
  Exec ex(2);
  GateHeads(ex, ones, z);
  MixOwnValue(ex, zeros, v, z);
  EXPECT_TRUE(SameBits(z, before));
}

TEST(HeadEpilogue, EveryHeadHasItsOwnFactorAndItsGroupsValue) {
  Numbers numbers(2);
  const Tensor z = RandomTensor({40, 6 * 10}, numbers), v = RandomTensor({40, 2 * 10}, numbers);
  const Tensor factor = RandomTensor({40, 6}, numbers);
  Tensor gated = z.Clone(), mixed = z.Clone();
  Exec ex(2);
  GateHeads(ex, factor, gated);
  MixOwnValue(ex, factor, v, mixed);
  for (int64_t t = 0; t < 40; ++t) {
    for (int64_t c = 0; c < 60; ++c) {
      const float f = factor.row(t)[c / 10];
      const float own = v.row(t)[c / 30 * 10 + c % 10];
      EXPECT_EQ(gated.row(t)[c], z.row(t)[c] * f);
      EXPECT_FLOAT_EQ(mixed.row(t)[c], z.row(t)[c] + f * own);
    }
  }
}

}  // namespace
}  // namespace binocle
