#include "attention/score_variant.h"

#include <gtest/gtest.h>

#include "attention/attention_ref.h"
#include "tests/attention/problem.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::SameBits;

std::vector<float> RandomFloats(int64_t count, Numbers& numbers, float scale) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(numbers.Normal(scale));
  return values;
}

// A problem with a long ragged prefill, a decode step and grouped queries; every run gets `variant`.
struct VariantProblem : Problem {
  explicit VariantProblem(const ScoreVariant& variant, uint64_t seed = 5)
      : Problem(6, 2, 24, {{70, 130}, {1, 65}}, seed, 2) {
    for (QueryRun& run : runs) run.variant = variant;
  }
  void Run() {
    Exec ex(2);
    Attention(ex, args(Mask::kCausal), out, lse);
  }
};

TEST(ScoreVariant, EachEqualsItsDefinition) {
  Numbers numbers(1);
  const std::vector<float> gain = RandomFloats(130, numbers, 0.5F);
  const std::vector<float> factor = RandomFloats(6, numbers, 1);
  const std::vector<ScoreVariant> variants = {KeyGain{gain, {}}, KeyGain{gain, factor},
                                              KeyBias{gain}, SoftCap{1.5F}};
  for (const ScoreVariant& variant : variants) {
    VariantProblem p(variant);
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    p.Run();
    AttentionRef(p.args(Mask::kCausal), want, want_lse);
    EXPECT_TRUE(Near(p.out, want, "attention")) << variant.index();
    EXPECT_TRUE(Near(p.lse, want_lse, "lse")) << variant.index();
    VariantProblem plain(PlainScore{});
    plain.Run();
    EXPECT_FALSE(SameBits(p.out, plain.out)) << variant.index();
  }
}

TEST(ScoreVariant, NoGainAndNoBiasAreBitIdenticalToPlainAttention) {
  const std::vector<float> zeros(130), ones(6, 1.0F);
  VariantProblem plain(PlainScore{});
  plain.Run();
  for (const ScoreVariant& off :
       std::vector<ScoreVariant>{KeyGain{zeros, {}}, KeyGain{zeros, ones}, KeyBias{zeros}}) {
    VariantProblem p(off);
    p.Run();
    EXPECT_TRUE(SameBits(p.out, plain.out)) << off.index();
    EXPECT_TRUE(SameBits(p.lse, plain.lse)) << off.index();
  }
}

TEST(ScoreVariant, RowsThatSeeNothingAreZeroAndKeysOfMinusInfinityAreNotThere) {
  const std::vector<float> none(130, -INFINITY);
  VariantProblem nothing(KeyBias{none});
  nothing.Run();
  for (int64_t i = 0; i < nothing.out.view().elements(); ++i) EXPECT_EQ(nothing.out.f32()[i], 0);
  for (int64_t i = 0; i < nothing.lse.view().elements(); ++i)
    EXPECT_EQ(nothing.lse.f32()[i], -INFINITY);
  // A first page without keys: what comes after it starts the sums.
  std::vector<float> late(130, 0.0F);
  std::fill_n(late.begin(), 64, -INFINITY);
  VariantProblem biased(KeyBias{late}), cut(PlainScore{});
  for (QueryRun& run : cut.runs) run.first_key = std::min<int64_t>(64, run.keys);
  biased.Run();
  cut.Run();
  EXPECT_TRUE(SameBits(biased.out, cut.out));
  EXPECT_TRUE(SameBits(biased.lse, cut.lse));
}

// Gains of 0 and 1, which f32 applies exactly, on scores that leave little or no weight somewhere.
TEST(ScoreVariant, GainsOfAdversarialScoresEqualTheExplicitMatrix) {
  std::vector<float> gain(130), zeros(130);
  for (size_t j = 0; j < gain.size(); ++j) gain[j] = j % 3 == 0 ? 1.0F : 0.0F;
  enum Kind { kSomeMinusInfinity, kAllButOneMinusInfinity, kAllMinusInfinity, kTenThousand };
  for (const Kind kind :
       {kSomeMinusInfinity, kAllButOneMinusInfinity, kAllMinusInfinity, kTenThousand}) {
    VariantProblem p(KeyGain{gain, {}}), off(KeyGain{zeros, {}}), plain(PlainScore{});
    for (VariantProblem* problem : {&p, &off, &plain}) {
      std::fill_n(problem->q.f32(), problem->q.view().elements(), 1.0F);
      for (const QueryRun& run : problem->runs) {
        for (int64_t j = 0; j < run.keys; ++j) {
          float score = static_cast<float>(j % 7) / 4;
          if (kind == kSomeMinusInfinity && j % 2 == 0) score = -INFINITY;
          if (kind == kAllButOneMinusInfinity && j != 5) score = -INFINITY;
          if (kind == kAllMinusInfinity) score = -INFINITY;
          if (kind == kTenThousand) score = j % 5 == 0 ? 1e4F : -1e4F;
          for (int64_t h = 0; h < 2; ++h) {
            float* key = problem->pool.layer(0).key_page(run.pages[static_cast<size_t>(j / 64)], h);
            for (int64_t i = 0; i < 24; ++i) key[i * kPageTokens + j % 64] = i == 0 ? score : 0.0F;
          }
        }
      }
      Exec ex(2);
      AttentionArgs args = problem->args(Mask::kCausal);
      args.scale = 1;
      Attention(ex, args, problem->out, problem->lse);
      if (problem != &p) continue;
      Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
      AttentionRef(args, want, want_lse);
      EXPECT_TRUE(Near(p.out, want, "attention")) << kind;
      EXPECT_TRUE(Near(p.lse, want_lse, "lse")) << kind;
    }
    EXPECT_TRUE(SameBits(off.out, plain.out)) << kind;
    EXPECT_TRUE(SameBits(off.lse, plain.lse)) << kind;
  }
}

TEST(ScoreVariant, FactorsOfOneAreBitIdenticalToNone) {
  Numbers numbers(2);
  const std::vector<float> gain = RandomFloats(130, numbers, 0.5F), ones(6, 1.0F);
  VariantProblem with(KeyGain{gain, ones}), without(KeyGain{gain, {}});
  with.Run();
  without.Run();
  EXPECT_TRUE(SameBits(with.out, without.out));
}

TEST(ScoreVariant, AGainRaisesPositiveAndNegativeScores) {
  // papers: α = 0.7 takes a score of 2 to 3.4 and one of −2 to −0.6
  for (const auto& [score, want] : {std::pair{2.0F, 3.4F}, {-2.0F, -0.6F}}) {
    Problem p(1, 1, 1, {{1, 1}}, 3);
    p.q.f32()[0] = score;
    *static_cast<float*>(p.pool.layer(0).keys) = 1;
    p.pool.layer(0).key_page(p.runs[0].pages[0], 0)[0] = 1;
    const std::vector<float> gain = {0.7F};
    p.runs[0].variant = KeyGain{gain, {}};
    Exec ex(1);
    Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
    EXPECT_NEAR(p.lse.f32()[0], want, 1e-6);
  }
}

TEST(ScoreVariant, RunsOfOneCallKeepTheirOwn) {
  Numbers numbers(4);
  const std::vector<float> gain = RandomFloats(130, numbers, 0.5F);
  VariantProblem p(PlainScore{}), plain(PlainScore{}), all(KeyGain{gain, {}});
  p.runs[1].variant = KeyGain{gain, {}};
  p.Run();
  plain.Run();
  all.Run();
  EXPECT_TRUE(SameBits(p.out.view().Rows(0, 70), plain.out.view().Rows(0, 70)));
  EXPECT_TRUE(SameBits(p.out.view().Rows(70, 71), all.out.view().Rows(70, 71)));
}

}  // namespace
}  // namespace binocle
