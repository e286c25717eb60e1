#include "llm/conversation.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/json.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

std::string ConversationErrorOf(const Conversation& conversation) {
  return testing::ErrorOf([&] { RenderConversation(ConversationStyle::kVicunaV1, conversation); });
}

Conversation FromGolden(const Json& row) {
  Conversation conversation;
  if (!row.at("system").is_null()) conversation.system = row.at("system").get<std::string>();
  for (size_t i = 0; i < row.at("turns").size(); ++i) {
    const Json& turn = row.at("turns")[i];
    conversation.turns.push_back(
        {.text = turn[0].get<std::string>(), .images = row.at("pictures")[i].get<int>()});
    if (!turn[1].is_null())
      conversation.turns.push_back({.role = Role::kAssistant, .text = turn[1].get<std::string>()});
  }
  return conversation;
}

TEST(Conversation, RendersTheGoldens) {
  const Json golden =
      ReadJsonFile(std::filesystem::path(BINOCLE_TEST_DATA) / "conversations" / "cases.json");
  ASSERT_GE(golden.at("rows").size(), 72u);
  for (const Json& row : golden.at("rows")) {
    const ConversationStyle style =
        ParseConversationStyle(row.at("template").get<std::string>(), "golden");
    EXPECT_EQ(RenderConversation(style, FromGolden(row)), row.at("text").get<std::string>())
        << row.dump();
  }
  for (const auto& [name, stops] : golden.at("stops").items()) {
    EXPECT_EQ(ConversationStops(ParseConversationStyle(name, "golden")),
              stops.get<std::vector<std::string>>())
        << name;
  }
}

TEST(Conversation, PutsPicturesBeforeTheQuestion) {
  const Conversation conversation = {.turns = {{.text = "What is it?", .images = 2}}};
  EXPECT_EQ(RenderConversation(ConversationStyle::kBinocle, conversation),
            "<image><image><|user|> What is it?<|assistant|>");
  EXPECT_EQ(RenderConversation(ConversationStyle::kPlain, conversation),
            "<image>\n<image>\nWhat is it?\n");
}

TEST(Conversation, KeepsTheMarksOfTheText) {
  const Conversation conversation = {.turns = {{.text = "Is <image> like <image>?", .images = 2}}};
  EXPECT_EQ(RenderConversation(ConversationStyle::kPlain, conversation),
            "Is <image> like <image>?\n");
  EXPECT_EQ(RenderConversation(ConversationStyle::kBinocle, conversation),
            "<|user|> Is <image> like <image>?<|assistant|>");
}

TEST(Conversation, RefusesMarksThatDoNotMatchThePictures) {
  EXPECT_EQ(ConversationErrorOf({.turns = {{.text = "<image> and <image>", .images = 1}}}),
            "INVALID_ARGUMENT: prompt: has 2 <image> marks, expected 1, one per image");
  EXPECT_EQ(ConversationErrorOf({.turns = {{.text = "<image>?"}}}),
            "INVALID_ARGUMENT: prompt: has 1 <image> mark, expected 0, one per image");
  EXPECT_EQ(ConversationErrorOf({.system = "<image>", .turns = {{.text = "a"}}}),
            "INVALID_ARGUMENT: system: has 1 <image> mark, expected 0, one per image");
  EXPECT_EQ(ConversationErrorOf(
                {.turns = {{.text = "a"}, {.role = Role::kAssistant, .text = "<image>"}}}),
            "INVALID_ARGUMENT: messages[1]: has 1 <image> mark, expected 0, one per image");
}

TEST(Conversation, RefusesTurnsOutOfOrder) {
  EXPECT_EQ(ConversationErrorOf({}),
            "INVALID_ARGUMENT: the conversation has no turns, expected at least one");
  EXPECT_EQ(
      ConversationErrorOf({.turns = {{.role = Role::kAssistant, .text = "a"}}}),
      "INVALID_ARGUMENT: prompt: is the assistant's, expected turns to alternate and the user "
      "to begin");
  EXPECT_EQ(ConversationErrorOf({.turns = {{.text = "a"}, {.text = "b"}}}),
            "INVALID_ARGUMENT: messages[1]: is the user's, expected turns to alternate and the "
            "user to begin");
  EXPECT_EQ(ConversationErrorOf({.turns = {{.text = "a", .images = -1}}}),
            "INVALID_ARGUMENT: prompt: has -1 images, expected 0 or more");
  EXPECT_EQ(ConversationErrorOf(
                {.turns = {{.text = "a"}, {.role = Role::kAssistant, .text = "b", .images = 1}}}),
            "INVALID_ARGUMENT: messages[1]: is the assistant's and has 1 images, expected none");
}

TEST(Conversation, NamesItsStyles) {
  for (const auto style : {ConversationStyle::kPlain, ConversationStyle::kBinocle,
                           ConversationStyle::kVicunaV1, ConversationStyle::kLlavaLlama2,
                           ConversationStyle::kQwen25, ConversationStyle::kLlavaChatml}) {
    EXPECT_EQ(ParseConversationStyle(ConversationStyleName(style), "x"), style);
  }
  EXPECT_EQ(testing::ErrorOf([] { ParseConversationStyle("shout", "config.json: conversation"); }),
            "INVALID_ARGUMENT: config.json: conversation is 'shout', expected one of " +
                ConversationStyleNames());
}

TEST(Conversation, CountsMarks) {
  EXPECT_EQ(CountImageMarks(""), 0);
  EXPECT_EQ(CountImageMarks("<image><image> <image"), 2);
  EXPECT_NO_THROW(CheckImageMarks("a <image>", 1, "the prompt"));
  EXPECT_THROW(CheckImageMarks("a", 1, "the prompt"), Error);
}

}  // namespace
}  // namespace binocle
