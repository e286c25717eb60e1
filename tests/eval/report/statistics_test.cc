#include "eval/report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "binocle/error.h"

namespace binocle::eval {
namespace {

std::vector<Term> RandomTerms(std::mt19937& random, int64_t groups, bool binary) {
  std::vector<Term> terms;
  for (int64_t group = 0; group < groups; ++group) {
    for (auto i = random() % 5; i < 5; ++i) {
      const double score = static_cast<double>(random() % 1001) / 1000;
      terms.push_back({.numerator = binary ? std::round(score) : score, .group = group});
    }
  }
  return terms;
}

TEST(Bootstrap, HoldsTheMeanAndLiesWithinTheScores) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 60; ++trial) {
    const auto terms = RandomTerms(random, 2 + trial % 30, trial % 2 == 0);
    double sum = 0;
    for (const Term& term : terms) sum += term.numerator;
    const auto interval = Bootstrap(terms, {.resamples = 1000, .seed = random()});
    ASSERT_TRUE(interval);
    EXPECT_NEAR(interval->value, sum / static_cast<double>(terms.size()), 1e-12);
    EXPECT_LE(interval->low, interval->value + 1e-12) << trial;
    EXPECT_GE(interval->high, interval->value - 1e-12) << trial;
    EXPECT_GE(interval->low, -1e-12);
    EXPECT_LE(interval->high, 1 + 1e-12);
  }
}

TEST(Bootstrap, IsTheSameForASeedAndAnotherForAnother) {
  std::mt19937 random(2);
  const auto terms = RandomTerms(random, 40, false);
  const auto a = Bootstrap(terms, {.seed = 3});
  const auto b = Bootstrap(terms, {.seed = 3});
  const auto c = Bootstrap(terms, {.seed = 4});
  EXPECT_EQ(a->low, b->low);
  EXPECT_EQ(a->high, b->high);
  EXPECT_TRUE(a->low != c->low || a->high != c->high);
}

TEST(Bootstrap, HasTheWidthOfTheNormalApproximation) {
  std::vector<Term> terms;
  for (int64_t i = 0; i < 400; ++i)
    terms.push_back({.numerator = i % 4 == 0 ? 1.0 : 0.0, .group = i});
  const auto interval = Bootstrap(terms, {.resamples = 20000});
  const double error = std::sqrt(0.25 * 0.75 / 400);
  EXPECT_NEAR(interval->low, 0.25 - 1.96 * error, 0.004);
  EXPECT_NEAR(interval->high, 0.25 + 1.96 * error, 0.004);
}

TEST(Bootstrap, DrawsGroupsTogether) {
  // Four equal answers a group: as sure as one answer a group, and less sure than four that are alone.
  std::vector<Term> alone, together, one;
  for (int64_t group = 0; group < 100; ++group) {
    const double score = group % 3 == 0 ? 1 : 0;
    one.push_back({.numerator = score, .group = group});
    for (int64_t i = 0; i < 4; ++i) {
      together.push_back({.numerator = score, .group = group});
      alone.push_back({.numerator = score, .group = group * 4 + i});
    }
  }
  const auto width = [](const std::vector<Term>& terms) {
    const auto interval = Bootstrap(terms, {});
    return interval->high - interval->low;
  };
  EXPECT_NEAR(width(together), width(one), 1e-12);
  EXPECT_NEAR(width(together) / width(alone), 2, 0.25);
  EXPECT_EQ(GroupsOf(together), 100);
  EXPECT_EQ(GroupsOf(alone), 400);
}

TEST(Bootstrap, OfTheSameScoresTwiceIsNothing) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 10; ++trial) {
    auto terms = RandomTerms(random, 20, false);
    for (Term& term : terms) term.numerator -= term.numerator;
    const auto interval = Bootstrap(terms, {.seed = random()});
    EXPECT_EQ(interval->value, 0);
    EXPECT_EQ(interval->low, 0);
    EXPECT_EQ(interval->high, 0);
  }
}

TEST(Bootstrap, OfARatioIsThatOfSums) {
  const auto interval = Bootstrap({{.numerator = 1, .denominator = 4, .group = 0},
                                   {.numerator = 0, .denominator = 0, .group = 1},
                                   {.numerator = 2, .denominator = 2, .group = 2}},
                                  {});
  EXPECT_DOUBLE_EQ(interval->value, 0.5);
  EXPECT_DOUBLE_EQ(interval->low, 0.25);
  EXPECT_DOUBLE_EQ(interval->high, 1);
}

TEST(Bootstrap, IsNothingWithoutADenominator) {
  EXPECT_FALSE(Bootstrap({}, {}));
  EXPECT_FALSE(Bootstrap({{.numerator = 0, .denominator = 0}}, {}));
}

TEST(Bootstrap, RefusesFewDraws) {
  try {
    Bootstrap({{.numerator = 1}}, {.resamples = 999});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.option(), "resamples");
  }
}

// 2·Σ C(n, k) / 2ⁿ for k up to the smaller, by hand.
TEST(McNemar, IsTheExactBinomial) {
  EXPECT_EQ(McNemar(0, 0).p, 1);
  EXPECT_NEAR(McNemar(1, 0).p, 1, 1e-12);            // 2·1/2
  EXPECT_NEAR(McNemar(5, 0).p, 2.0 / 32, 1e-12);     // 2·1/2⁵
  EXPECT_NEAR(McNemar(1, 9).p, 22.0 / 1024, 1e-12);  // 2·(1 + 10)/2¹⁰
  EXPECT_NEAR(McNemar(2, 7).p, 92.0 / 512, 1e-12);   // 2·(1 + 9 + 36)/2⁹
  EXPECT_NEAR(McNemar(6, 16).p, 220112.0 / 4194304,
              1e-9);  // 2·(1+22+231+1540+7315+26334+74613)/2²²
  EXPECT_NEAR(McNemar(5, 5).p, 1, 1e-12);
  EXPECT_TRUE(McNemar(500, 500).exact);
}

TEST(McNemar, IsTheSameBothWays) {
  for (int64_t a = 0; a < 40; a += 3) {
    for (int64_t b = 0; b < 40; b += 7) EXPECT_EQ(McNemar(a, b).p, McNemar(b, a).p);
  }
}

TEST(McNemar, IsChiSquaredBeyondAThousand) {
  const Discordance many = McNemar(520, 600);
  EXPECT_FALSE(many.exact);
  // χ² = 79²/1120 = 5.5723, p = 0.018246
  EXPECT_NEAR(many.p, 0.018246, 2e-5);
  // Close to the binomial where the two meet.
  EXPECT_NEAR(McNemar(470, 530).p, McNemar(471, 531).p, 0.002);
  EXPECT_FALSE(McNemar(471, 531).exact);
  EXPECT_EQ(McNemar(600, 600).p, 1);
}

}  // namespace
}  // namespace binocle::eval
