#include "service/engine/constraints.h"

#include <gtest/gtest.h>

#include <string>

#include "core/exec.h"

namespace binocle {
namespace {

class ConstraintsTest : public ::testing::Test {
 protected:
  Exec exec_{1};
  const VlmModel model_{exec_, CheckedModel(std::string(BINOCLE_TEST_DATA) + "/llava", {}), 64};
  Constraints constraints_{model_};
};

TEST_F(ConstraintsTest, NoneIsNull) {
  EXPECT_EQ(constraints_.Compile({}, LeadingText::kKeep), nullptr);
}

TEST_F(ConstraintsTest, TheSameIsCompiledOnce) {
  const Constraint regex = Regex{"a+"};
  EXPECT_FALSE(constraints_.Has(regex, LeadingText::kKeep));
  const auto first = constraints_.Compile(regex, LeadingText::kKeep);
  EXPECT_TRUE(constraints_.Has(regex, LeadingText::kKeep));
  EXPECT_EQ(constraints_.Compile(Regex{"a+"}, LeadingText::kKeep), first);
}

TEST_F(ConstraintsTest, KindAndLeadingTextCount) {
  const auto first = constraints_.Compile(Regex{"a"}, LeadingText::kKeep);
  EXPECT_NE(constraints_.Compile(Regex{"a"}, LeadingText::kDropSpace), first);
  EXPECT_NE(constraints_.Compile(Choices{{"a"}}, LeadingText::kKeep), first);
  EXPECT_FALSE(constraints_.Has(JsonSchema{"a"}, LeadingText::kKeep));
}

TEST_F(ConstraintsTest, WhatIsRefusedIsNotKept) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(constraints_.Compile(Regex{"("}, LeadingText::kKeep), Error);
    EXPECT_FALSE(constraints_.Has(Regex{"("}, LeadingText::kKeep));
  }
}

TEST_F(ConstraintsTest, TheLeastRecentlyAskedForGoes) {
  const auto regex = [](size_t i) { return Regex{"a{" + std::to_string(i + 1) + "}"}; };
  for (size_t i = 0; i < Constraints::kMostKept; ++i)
    constraints_.Compile(regex(i), LeadingText::kKeep);
  constraints_.Compile(regex(0), LeadingText::kKeep);
  constraints_.Compile(regex(Constraints::kMostKept), LeadingText::kKeep);
  EXPECT_TRUE(constraints_.Has(regex(0), LeadingText::kKeep));
  EXPECT_FALSE(constraints_.Has(regex(1), LeadingText::kKeep));
  EXPECT_TRUE(constraints_.Has(regex(2), LeadingText::kKeep));
}

TEST_F(ConstraintsTest, LargeOnesPushOutMore) {
  const auto regex = [](int i) { return Regex{"(a|b)*a(a|b){9}c{" + std::to_string(i) + "}"}; };
  const size_t bytes = constraints_.Compile(regex(9), LeadingText::kKeep)->bytes();
  Constraints three(model_, 3 * bytes);
  for (int i = 1; i <= 4; ++i) three.Compile(regex(i), LeadingText::kKeep);
  EXPECT_FALSE(three.Has(regex(1), LeadingText::kKeep));
  EXPECT_TRUE(three.Has(regex(2), LeadingText::kKeep));
  Constraints none(model_, 1);
  const auto compiled = none.Compile(regex(1), LeadingText::kKeep);
  EXPECT_EQ(none.Compile(regex(1), LeadingText::kKeep), compiled) << "the last one is kept";
}

}  // namespace
}  // namespace binocle
