#include "core/ops/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops/rope_ref.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::Numbers;
using testing::RandomTensor;

TEST(Rope, EqualsItsDefinitionForSmallPositions) {
  Numbers numbers(1);
  const std::vector<int32_t> positions = {0, 1, 2, 3, 17, 40};
  for (const int64_t head_dim : {2, 10, 24, 64, 80}) {
    Tensor x = RandomTensor({6, 3 * head_dim}, numbers);
    Tensor want = x.Clone();
    RopeRef(head_dim, 10000, positions, want);
    Exec ex(2);
    Rope(ex, RopeTable::Make(head_dim, {}, 41), positions, x);
    EXPECT_TRUE(Near(x, want, "rope")) << "head width " << head_dim;
  }
}

TEST(Rope, PositionZeroIsTheIdentityAndLengthsAreKept) {
  Numbers numbers(2);
  Tensor x = RandomTensor({2, 64}, numbers);
  const Tensor before = x.Clone();
  const std::vector<int32_t> positions = {0, 1000};
  Exec ex(1);
  Rope(ex, RopeTable::Make(64, {.theta = 500}, 1001), positions, x);
  EXPECT_TRUE(testing::SameBits(x.view().Rows(0, 1), before.view().Rows(0, 1)));
  for (int64_t i = 0; i < 32; ++i) {
    EXPECT_NEAR(std::hypot(x.row(1)[i], x.row(1)[i + 32]),
                std::hypot(before.row(1)[i], before.row(1)[i + 32]), 1e-5);
  }
}

TEST(Rope, ScoresDependOnDistanceOnly) {
  Numbers numbers(3);
  const Tensor q = RandomTensor({1, 32}, numbers), k = RandomTensor({1, 32}, numbers);
  const RopeTable table = RopeTable::Make(32, {}, 2000);
  Exec ex(1);
  const auto score = [&](int32_t pq, int32_t pk) {
    Tensor a = q.Clone(), b = k.Clone();
    Rope(ex, table, {{pq}}, a);
    Rope(ex, table, {{pk}}, b);
    double dot = 0;
    for (int64_t i = 0; i < 32; ++i) dot += static_cast<double>(a.f32()[i]) * b.f32()[i];
    return dot;
  };
  EXPECT_NEAR(score(9, 4), score(1204, 1199), 2e-3);
  EXPECT_GT(std::abs(score(9, 4) - score(9, 5)), 1e-2);
}

TEST(Rope, LinearScalingPutsPositionsCloser) {
  const RopeTable near = RopeTable::Make(24, {.scaling = LinearRopeScaling{4}}, 41);
  const RopeTable plain = RopeTable::Make(24, {}, 11);
  for (int64_t p = 0; p <= 10; ++p) {
    for (int64_t i = 0; i < 12; ++i) EXPECT_NEAR(near.cos.row(4 * p)[i], plain.cos.row(p)[i], 1e-6);
  }
}

TEST(Rope, Llama3ScalingKeepsFastFrequenciesAndDividesSlowOnes) {
  const Llama3RopeScaling scaling{
      .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_positions = 8192};
  const std::vector<float> plain = RopeFrequencies(64, {.theta = 500000});
  const std::vector<float> scaled = RopeFrequencies(64, {.theta = 500000, .scaling = scaling});
  size_t between = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * 3.141592653589793 / plain[i];
    if (wavelength < 8192.0 / 4) {
      EXPECT_EQ(scaled[i], plain[i]);
    } else if (wavelength > 8192.0) {
      EXPECT_EQ(scaled[i], plain[i] / 8);
    } else {
      EXPECT_GT(scaled[i], plain[i] / 8);
      EXPECT_LT(scaled[i], plain[i]);
      ++between;
    }
  }
  EXPECT_GT(between, 0U);
}

}  // namespace
}  // namespace binocle
