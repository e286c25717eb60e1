#include "fusion/prompt.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace binocle {
namespace {

TEST(ExpandPrompt, EachMarkBecomesItsPicturesTokens) {
  const std::vector<int32_t> ids = {1, 9, 5, 6, 9, 7};
  const ExpandedPrompt prompt = ExpandPrompt(ids, 9, std::vector<int64_t>{2, 3});
  EXPECT_EQ(prompt.ids, (std::vector<int32_t>{1, 9, 9, 5, 6, 9, 9, 9, 7}));
  ASSERT_EQ(prompt.images.size(), 2U);
  EXPECT_EQ(prompt.images[0].first_position, 1);
  EXPECT_EQ(prompt.images[0].tokens, 2);
  EXPECT_EQ(prompt.images[1].first_position, 5);
  EXPECT_EQ(prompt.images[1].image, 1);
  EXPECT_EQ(prompt.images[1].tokens, 3);
}

TEST(ExpandPrompt, MarksAndPicturesMustAgree) {
  const std::vector<int32_t> ids = {1, 9, 5};
  EXPECT_THROW(ExpandPrompt(ids, 9, {}), Error);
  EXPECT_THROW(ExpandPrompt(ids, 9, std::vector<int64_t>{3, 3}), Error);
  EXPECT_EQ(ExpandPrompt({}, 9, {}).ids.size(), 0U);
}

}  // namespace
}  // namespace binocle
