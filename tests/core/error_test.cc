#include "core/error.h"

#include <gtest/gtest.h>

#include <cmath>

namespace binocle {
namespace {

TEST(Error, ReadsAsCodeColonMessage) {
  const Error error(Code::kNotFound, "a.png: no such file");
  EXPECT_STREQ(error.what(), "NOT_FOUND: a.png: no such file");
  EXPECT_EQ(error.message(), "a.png: no such file");
}

TEST(Error, StaysOnOneLineWhateverTheInputWas) {
  const Error error(Code::kInvalidArgument, "prompt: \"a\nb\x01\xFF\"");
  EXPECT_STREQ(error.what(), "INVALID_ARGUMENT: prompt: \"a\\nb\\x01\\xff\"");
}

TEST(Error, ContextGrowsOutwardsAndTheCodeStays) {
  const Error outer = WithContext(Error(Code::kResourceExhausted, "too large"), "images[2]");
  EXPECT_STREQ(outer.what(), "RESOURCE_EXHAUSTED: images[2]: too large");
}

TEST(Error, KnowsTheOptionAtFaultUntilSomethingStandsBeforeIt) {
  const auto error_of = [](const auto& action) {
    try {
      action();
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kUnknown, "no error");
  };
  const Error range = error_of([] { CheckOption("n", int64_t{65}, 1, 64); });
  EXPECT_STREQ(range.what(), "INVALID_ARGUMENT: n is 65, expected 1 to 64");
  EXPECT_EQ(range.option(), "n");
  EXPECT_EQ(error_of([] { CheckOption("top_p", 1.0000001, 0.0, 1.0); }).message(),
            "top_p is 1.0000001, expected 0 to 1");
  EXPECT_EQ(error_of([] { CheckOption("top_p", std::nan(""), 0.0, 1.0); }).option(), "top_p");
  EXPECT_EQ(error_of([] { CheckOption("n", int64_t{64}, 1, 64); }).message(), "no error");
  EXPECT_EQ(WithContext(range, "line 3").option(), "");
  EXPECT_EQ(Error(Code::kNotFound, "a.png: no such file").option(), "");
}

TEST(Error, PrintableKeepsUtf8AndCutsLongText) {
  EXPECT_EQ(Printable("naïve ▁猫"), "naïve ▁猫");
  EXPECT_EQ(Printable(std::string(500, 'x'), 10), "xxxxxxxxxx…");
  EXPECT_EQ(Printable("\xE7\x8C"), "\\xe7\\x8c") << "half a character";
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace binocle
