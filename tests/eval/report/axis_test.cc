#include "eval/report/axis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace binocle::eval {
namespace {

std::vector<std::string> TextsOf(const Axis& axis) {
  std::vector<std::string> texts;
  for (const double mark : axis.marks) texts.push_back(axis.Text(mark));
  return texts;
}

TEST(Axis, HasRoundMarks) {
  EXPECT_EQ(
      TextsOf(RoundAxis(0.0296, 0.0386, {})),
      (std::vector<std::string>{"0.028", "0.030", "0.032", "0.034", "0.036", "0.038", "0.040"}));
  EXPECT_EQ(TextsOf(RoundAxis(0, 1, {.ceiling = 1})),
            (std::vector<std::string>{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(TextsOf(RoundAxis(-30, 1130, {})),
            (std::vector<std::string>{"-500", "0", "500", "1000", "1500"}));
}

// Tokens an answer of six runs: no axis from 157.2434 to 157.2562.
TEST(Axis, OfValuesThatAreNearlyEqualIsWide) {
  const Axis axis = RoundAxis(157.2434, 157.2562, {.least_span = 157.2562 / 20});
  EXPECT_EQ(TextsOf(axis), (std::vector<std::string>{"152", "154", "156", "158", "160", "162"}));
  EXPECT_NEAR(axis.Share(157.2562) - axis.Share(157.2434), 0, 0.002);
}

TEST(Axis, StaysWithinItsLimits) {
  const Axis ones = RoundAxis(1, 1, {.least_span = 0.05, .floor = 0, .ceiling = 1});
  EXPECT_EQ(TextsOf(ones),
            (std::vector<std::string>{"0.95", "0.96", "0.97", "0.98", "0.99", "1.00"}));
  const Axis noughts = RoundAxis(0, 0, {.least_span = 0.05, .floor = 0, .ceiling = 1});
  EXPECT_EQ(TextsOf(noughts).front(), "0.00");
  EXPECT_EQ(noughts.low, 0);
  // 2,800 points of MME at most, which is no multiple of the step.
  const Axis mme = RoundAxis(100, 2790, {.least_span = 140, .floor = 0, .ceiling = 2800});
  EXPECT_EQ(mme.high, 2800);
  EXPECT_EQ(TextsOf(mme).back(), "2000");
}

TEST(Axis, HoldsItsValuesBetweenAFewMarks) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> exponent(-6, 9), part(0, 1);
  for (int i = 0; i < 2000; ++i) {
    const double low = std::pow(10, exponent(random)) * part(random);
    const double high = low + std::pow(10, exponent(random)) * part(random);
    const Axis axis = RoundAxis(low, high, {.least_span = high / 20});
    EXPECT_LE(axis.low, low + 1e-9 * high);
    EXPECT_GE(axis.high, high - 1e-9 * high);
    EXPECT_GE(axis.marks.size(), 3u) << low << " " << high;
    EXPECT_LE(axis.marks.size(), 8u) << low << " " << high;
    EXPECT_NE(axis.Text(axis.marks[0]), axis.Text(axis.marks[1])) << low << " " << high;
  }
}

}  // namespace
}  // namespace binocle::eval
