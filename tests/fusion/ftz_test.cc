#include "fusion/ftz.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/ops/norm_ref.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

constexpr int64_t kAnchorWidth = 24, kAugmentWidth = 30, kWidth = 36, kHeads = 3;

// FtZ with random weights, drawn in a fixed order; `out_scale` 0 gives a zero output projection.
FtzWeights MakeWeights(Exec& ex, float out_scale, Numbers numbers = Numbers(5)) {
  const auto linear = [&](int64_t n, int64_t k, float scale) {
    const Tensor w = RandomTensor({n, k}, numbers, scale), b = RandomTensor({n}, numbers, scale);
    return PackLinear(ex, {{.weight = w, .bias = b}});
  };
  FtzWeights w;
  w.q = linear(kWidth, kAnchorWidth, 0.3F);
  w.kv = linear(2 * kWidth, kAugmentWidth, 0.3F);
  w.out = linear(kAnchorWidth, kWidth, out_scale);
  w.norm = {.weight = RandomTensor({kAnchorWidth}, numbers),
            .bias = RandomTensor({kAnchorWidth}, numbers),
            .epsilon = 1e-5F};
  return w;
}

FusionConfig Config(FtzNorm norm, Residual residual) {
  return {.type = FusionType::kFtz,
          .width = kWidth,
          .heads = kHeads,
          .norm = norm,
          .residual = residual};
}

Tensor FuseOnce(const FusionConfig& config, float out_scale, const Tensor& a, const Tensor& b) {
  Exec ex(2);
  Ftz ftz(config, MakeWeights(ex, out_scale), a.dim(0), b.dim(0));
  Tensor fused = Tensor::F32({a.dim(0), kAnchorWidth}, "fused");
  ftz.Forward(ex, a, b, fused);
  return fused;
}

Tensor Permuted(const TensorView& x, const std::vector<int64_t>& order) {
  Tensor out = Tensor::F32(x.shape(), "permuted");
  for (size_t i = 0; i < order.size(); ++i)
    std::copy_n(x.row(order[i]), x.dim(1), out.row(static_cast<int64_t>(i)));
  return out;
}

class FtzTest : public ::testing::Test {
 protected:
  Numbers numbers_{1};
  Tensor a_ = RandomTensor({25, kAnchorWidth}, numbers_);
  Tensor b_ =
      RandomTensor({70, kAugmentWidth}, numbers_);  // another number of tokens, more than a page
};

TEST_F(FtzTest, WithAZeroOutputProjectionOnlyTheAnchorIsLeft) {
  Exec ex(1);
  const FtzWeights w = MakeWeights(ex, 0);
  Tensor normed = Tensor::F32(a_.shape(), "LayerNorm(A)");
  LayerNormRef(a_, w.norm, normed);
  EXPECT_TRUE(Near(FuseOnce(Config(FtzNorm::kPost, Residual::kOn), 0, a_, b_), normed, "norm"));
  EXPECT_TRUE(SameBits(FuseOnce(Config(FtzNorm::kPre, Residual::kOn), 0, a_, b_), a_));
  EXPECT_TRUE(SameBits(FuseOnce(Config(FtzNorm::kNone, Residual::kOn), 0, a_, b_), a_));
}

TEST_F(FtzTest, TheOrderOfTheAugmentingTokensDoesNotMatter) {
  std::vector<int64_t> order(70);
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = 0; i < 70; ++i)
    std::swap(order[i], order[static_cast<size_t>(numbers_.Int(0, 69))]);
  for (const FtzNorm norm : {FtzNorm::kPost, FtzNorm::kPre, FtzNorm::kNone}) {
    const FusionConfig config = Config(norm, Residual::kOn);
    EXPECT_TRUE(Near(FuseOnce(config, 0.3F, a_, Permuted(b_, order)),
                     FuseOnce(config, 0.3F, a_, b_), "stage"));
  }
}

TEST_F(FtzTest, PermutingTheAnchorsTokensPermutesTheResult) {
  std::vector<int64_t> order(25);
  std::iota(order.begin(), order.end(), 0);
  std::reverse(order.begin(), order.end());
  const FusionConfig config = Config(FtzNorm::kPost, Residual::kOn);
  EXPECT_TRUE(SameBits(FuseOnce(config, 0.3F, Permuted(a_, order), b_),
                       Permuted(FuseOnce(config, 0.3F, a_, b_), order)));
}

TEST_F(FtzTest, WithoutAResidualTheAnchorOnlyAsks) {
  // One augmenting token: attention has nothing to choose, so the anchor's content cannot matter.
  const TensorView one = b_.view().Rows(0, 1);
  Tensor single = Tensor::F32({1, kAugmentWidth});
  std::copy_n(one.row(0), kAugmentWidth, single.f32());
  const Tensor fused = FuseOnce(Config(FtzNorm::kNone, Residual::kOff), 0.3F, a_, single);
  for (int64_t r = 1; r < 25; ++r)
    EXPECT_TRUE(SameBits(fused.view().Rows(r, r + 1), fused.view().Rows(0, 1)));
}

TEST_F(FtzTest, BothTowersMatter) {
  const FusionConfig config = Config(FtzNorm::kPost, Residual::kOn);
  const Tensor fused = FuseOnce(config, 0.3F, a_, b_);
  b_.row(3)[2] += 1;
  EXPECT_FALSE(SameBits(FuseOnce(config, 0.3F, a_, b_), fused));
}

}  // namespace
}  // namespace binocle
