#include "core/error.h"

#include <gtest/gtest.h>

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

TEST(Error, PrintableKeepsUtf8AndCutsLongText) {
  EXPECT_EQ(Printable("naïve ▁猫"), "naïve ▁猫");
  EXPECT_EQ(Printable(std::string(500, 'x'), 10), "xxxxxxxxxx…");
  EXPECT_EQ(Printable("\xE7\x8C"), "\\xe7\\x8c") << "half a character";
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace binocle
