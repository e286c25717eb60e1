// Text as Python sees it. Expected values are what Python 3.11 prints.
#include "eval/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace binocle::eval {
namespace {

std::string Lowered(const char* utf8) { return ToUtf8(Lower(FromUtf8(utf8))); }

TEST(EvalText, Utf8GoesThereAndBack) {
  for (const char* text : {"", "plain", "é", "日本", "🙂", "a\xC2\xA0z"})
    EXPECT_EQ(ToUtf8(FromUtf8(text)), text);
  EXPECT_EQ(FromUtf8("é日🙂").size(), 3U);
}

TEST(EvalText, LowerCaseKnowsAllScripts) {
  EXPECT_EQ(Lowered("ABC xyz 1"), "abc xyz 1");
  EXPECT_EQ(Lowered("ÀÉÎ Ω Ж Ⅳ ＡＢ"), "àéî ω ж ⅳ ａｂ");
  EXPECT_EQ(Lowered("İ"), "i\xCC\x87");
  EXPECT_EQ(Lowered("ǅẞ"), "ǆß");
}

TEST(EvalText, StripAndSplitKnowAllBlanks) {
  EXPECT_EQ(Strip(U"\u00a0\t a b \u3000\x1c\n"), U"a b");
  EXPECT_EQ(SplitWords(U" a\u2003b\n\nc "), (std::vector<Text>{U"a", U"b", U"c"}));
  EXPECT_TRUE(SplitWords(U" \n").empty());
  EXPECT_EQ(SplitOn(U"a  b", U' '), (std::vector<Text>{U"a", U"", U"b"}));
  EXPECT_EQ(SplitOn(U"", U' '), (std::vector<Text>{U""}));
}

TEST(EvalText, DigitsOfOtherScriptsAreDigits) {
  EXPECT_EQ(Digit(U'7'), 7);
  EXPECT_EQ(Digit(U'٣'), 3);
  EXPECT_EQ(Digit(U'５'), 5);
  EXPECT_EQ(Digit(U'½'), std::nullopt);
  EXPECT_TRUE(IsWord(U'_') && IsWord(U'é') && IsWord(U'½') && !IsWord(U'-') && !IsWord(U'🙂'));
}

TEST(EvalText, NumbersAreWhatFloatAccepts) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<TextView, double>> fine = {{U"5", 5},
                                                         {U" +5.\n", 5},
                                                         {U"-.5", -0.5},
                                                         {U"1e3", 1000},
                                                         {U"1_000.2_5", 1000.25},
                                                         {U"１２", 12},
                                                         {U"\x0b\xa0"
                                                          U"2\x85\x0c",
                                                          2},
                                                         {U"٣.٥", 3.5},
                                                         {U"Infinity", inf},
                                                         {U"-inf", -inf},
                                                         {U"1e400", inf},
                                                         {U"1e-400", 0},
                                                         {U"0e999999999999999999", 0},
                                                         {U"05", 5},
                                                         {U"1e99999999999999999999", inf}};
  for (const auto& [text, value] : fine) {
    const auto parsed = ParseFloat(text);
    ASSERT_TRUE(parsed.has_value()) << ToUtf8(text);
    EXPECT_EQ(*parsed, value) << ToUtf8(text);
  }
  EXPECT_TRUE(std::isnan(ParseFloat(U"nan").value()));
  for (const TextView text : {U"",
                              U" ",
                              U".",
                              U"e5",
                              U"1e",
                              U"1__0",
                              U"_1",
                              U"1_",
                              U"1_.5",
                              U"1,000",
                              U"0x10",
                              U"5%",
                              U"1 2",
                              U"--1",
                              U"½",
                              U"+",
                              U"in f",
                              U"1e5_",
                              U"\x1c"
                              U"287",
                              U"287\x1f",
                              U"\x1d"
                              U"２"})
    EXPECT_FALSE(ParseFloat(text).has_value()) << ToUtf8(text);
}

}  // namespace
}  // namespace binocle::eval
