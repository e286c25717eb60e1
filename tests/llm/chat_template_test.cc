#include "llm/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "core/json.h"
#include "llm/chat_template_hashes.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;

// What transformers made of public templates: tools/reference/template_goldens.py.
const Json& TemplateGoldens() {
  static const Json golden =
      ReadJsonFile(fs::path(BINOCLE_TEST_DATA) / "conversations" / "templates.json");
  return golden;
}

ConversationStyle StyleOf(const Json& row) {
  return ParseConversationStyle(row.at("style").get<std::string>(), "golden");
}

Conversation ConversationOf(const Json& row) {
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

std::string ErrorIn(ConversationStyle style, const Conversation& conversation) {
  return testing::ErrorOf([&] { RenderConversation(style, conversation); });
}

TEST(ChatTemplate, EveryStyleRendersWhatTheTemplatesDo) {
  std::set<std::string> styles;
  for (const Json& row : TemplateGoldens().at("rows")) {
    styles.insert(row.at("style").get<std::string>());
    EXPECT_EQ(RenderConversation(StyleOf(row), ConversationOf(row)),
              row.at("text").get<std::string>())
        << row.at("style") << " " << row.at("case");
  }
  EXPECT_GE(styles.size(), 23u);
}

TEST(ChatTemplate, IdsAreThoseOfTransformers) {
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers;
  int compared = 0;
  for (const Json& row : TemplateGoldens().at("rows")) {
    if (!row.contains("ids")) continue;
    const auto folder = row.at("vocabulary").get<std::string>();
    auto& tokenizer = tokenizers[folder];
    if (!tokenizer) tokenizer = LoadTokenizer(fs::path(BINOCLE_TEST_DATA) / folder);
    const bool takes_pictures = row.at("style").get<std::string>().starts_with("llava_");
    const std::string text = RenderConversation(StyleOf(row), ConversationOf(row));
    const AddSpecial add = ConversationSpecials(StyleOf(row), takes_pictures, text, "<s>");
    EXPECT_EQ(tokenizer->Encode(text, add), row.at("ids").get<std::vector<int32_t>>())
        << row.at("style") << " " << row.at("case");
    ++compared;
  }
  EXPECT_GE(compared, 60);
}

TEST(ChatTemplate, EveryHashLeadsToItsStyle) {
  const Json& hashes = TemplateGoldens().at("hashes");
  ASSERT_EQ(ChatTemplateHashes().size(), hashes.size());
  for (const Json& row : hashes) {
    const auto style = row[1].get<std::string>();
    const ChatTemplateHash* found = FindChatTemplateHash(row[0].get<std::string>());
    ASSERT_NE(found, nullptr) << row;
    EXPECT_EQ(found->style ? ConversationStyleName(*found->style) : "dates", style) << row;
  }
}

TEST(ChatTemplate, AStrangerIsToldByItsHash) {
  const ChatTemplateMatch match = MatchChatTemplate("abc");
  EXPECT_EQ(match.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_FALSE(match.style.has_value());
  EXPECT_EQ(match.why, "is none of those that have a renderer here");
  EXPECT_EQ(FindChatTemplateHash(""), nullptr);
  EXPECT_EQ(FindChatTemplateHash(std::string(64, 'g')), nullptr);
}

TEST(ChatTemplate, SpecialTokensAreAddedOnlyWhereAProcessorWould) {
  const auto specials = [](ConversationStyle style, bool pictures, std::string_view text) {
    return ConversationSpecials(style, pictures, text, "<s>");
  };
  EXPECT_EQ(specials(ConversationStyle::kVicunaV1, true, "USER: a"), AddSpecial::kYes);
  EXPECT_EQ(specials(ConversationStyle::kPlain, false, "a"), AddSpecial::kYes);
  EXPECT_EQ(specials(ConversationStyle::kZephyr, false, "<|user|>"), AddSpecial::kNo);
  EXPECT_EQ(specials(ConversationStyle::kLlavaHf, true, "USER: a"), AddSpecial::kYes);
  EXPECT_EQ(specials(ConversationStyle::kLlama2, true, "<s>[INST] a"), AddSpecial::kNo);
  EXPECT_EQ(ConversationSpecials(ConversationStyle::kLlama2, true, "[INST] a", ""),
            AddSpecial::kYes);
}

TEST(ChatTemplate, TextsThatPlaceTheirPicturesKeepThem) {
  const Conversation conversation = {.turns = {{.text = "Is <image> one?", .images = 1}}};
  EXPECT_EQ(RenderConversation(ConversationStyle::kLlavaHf, conversation),
            "USER: Is <image> one? ASSISTANT:");
  EXPECT_EQ(RenderConversation(ConversationStyle::kLlavaOnevision, conversation),
            "<|im_start|>user \nIs <image> one?<|im_end|><|im_start|>assistant\n");
}

TEST(ChatTemplate, TheTokenizersOwnTokensAreWritten) {
  Conversation conversation = {.turns = {{.text = "a"}}};
  conversation.bos = "<|begin_of_text|>";
  EXPECT_EQ(RenderConversation(ConversationStyle::kLlama3, conversation),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  conversation.eos = "<end>";
  EXPECT_EQ(RenderConversation(ConversationStyle::kZephyr, conversation),
            "<|user|>\na<end>\n<|assistant|>\n");
}

TEST(ChatTemplate, WhatATemplateHasNoPlaceForIsRefused) {
  EXPECT_EQ(ErrorIn(ConversationStyle::kMistralV01, {.system = "s", .turns = {{.text = "a"}}}),
            "INVALID_ARGUMENT: system: conversation mistral_v0_1 has no place for it, expected "
            "none");
  EXPECT_EQ(
      RenderConversation(ConversationStyle::kMistralV01, {.system = "", .turns = {{.text = "a"}}}),
      "<s>[INST] a [/INST]");
  EXPECT_EQ(ErrorIn(ConversationStyle::kChatml,
                    {.turns = {{.text = "a"}, {.role = Role::kAssistant, .text = "b"}}}),
            "INVALID_ARGUMENT: messages: the last one is the assistant's, expected the user's: "
            "conversation chatml continues no answer");
}

TEST(ChatTemplate, TurnsEndWithTheirOwnToken) {
  EXPECT_EQ(ConversationStops(ConversationStyle::kQwen3), std::vector<std::string>{"<|im_end|>"});
  EXPECT_EQ(ConversationStops(ConversationStyle::kLlama31), std::vector<std::string>{"<|eot_id|>"});
  EXPECT_EQ(ConversationStops(ConversationStyle::kMistralV3), std::vector<std::string>{"</s>"});
}

}  // namespace
}  // namespace binocle
