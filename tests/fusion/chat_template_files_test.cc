#include "fusion/chat_template_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/testing/errors.h"

namespace binocle {
namespace {

class ChatTemplateFiles : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  std::string TextOf(TemplateOwner owner) {
    const auto found = ReadChatTemplate(directory_, owner);
    return found ? found->text.value_or("no default") : "absent";
  }
  std::string Processor() { return TextOf(TemplateOwner::kProcessor); }
  std::string Tokens() { return TextOf(TemplateOwner::kTokenizer); }

  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_ = std::filesystem::temp_directory_path() /
                                     ("binocle_chat_template_" + std::to_string(getpid()));
};

// In transformers' order: each file written goes before those before it.
TEST_F(ChatTemplateFiles, TheFirstOfManyCounts) {
  EXPECT_EQ(Processor(), "absent");
  Write("tokenizer_config.json", R"({"chat_template": "of the tokenizer"})");
  EXPECT_EQ(Tokens(), "of the tokenizer");
  EXPECT_EQ(Processor(), "of the tokenizer");
  Write("processor_config.json", R"({"chat_template": null})");
  EXPECT_EQ(Processor(), "of the tokenizer");
  Write("processor_config.json", R"({"chat_template": "of the processor"})");
  EXPECT_EQ(Processor(), "of the processor");
  EXPECT_EQ(Tokens(), "of the tokenizer");
  Write("chat_template.jinja", "in its own file\n");
  EXPECT_EQ(Processor(), "in its own file\n");
  EXPECT_EQ(Tokens(), "in its own file\n");
  Write("chat_template.json", R"({"chat_template": "in the processor's own file"})");
  EXPECT_EQ(Processor(), "in the processor's own file");
  EXPECT_EQ(Tokens(), "in its own file\n");
}

TEST_F(ChatTemplateFiles, OfAListTheDefaultCounts) {
  Write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "rag", "template": "a"}, {"name": "default", "template": "b"}]})");
  EXPECT_EQ(Tokens(), "b");
  Write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "a"}]})");
  EXPECT_EQ(Tokens(), "no default");
}

TEST_F(ChatTemplateFiles, OtherValuesAndLongTextsAreRefused) {
  const auto error = [&] { return testing::ErrorOf([&] { Tokens(); }); };
  const std::string where = (directory_ / "tokenizer_config.json").string() + ": chat_template: ";
  Write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_EQ(error(), "INVALID_ARGUMENT: " + where + "is a JSON number, expected a text or a list");
  const std::string text(kMaxChatTemplateBytes + 1, 'x');
  Write("tokenizer_config.json", R"({"chat_template": ")" + text + "\"}");
  EXPECT_EQ(error(), "RESOURCE_EXHAUSTED: " + where + "has 1048577 bytes, the limit is 1048576");
  Write("chat_template.jinja", text);
  EXPECT_EQ(error(), "RESOURCE_EXHAUSTED: " + (directory_ / "chat_template.jinja").string() +
                         ": is 1048577 bytes, the limit is 1048576");
}

ModelConfig Resolved(const std::optional<ChatTemplateText>& found,
                     const ModelOverrides& overrides = {}) {
  ModelConfig config;
  config.conversation = ConversationStyle::kVicunaV1;
  ResolveConversation(found, overrides, config);
  return config;
}

TEST(ResolveConversation, WithoutATemplateTheFamilysStyleStays) {
  const ModelConfig config = Resolved(std::nullopt);
  EXPECT_EQ(config.conversation, ConversationStyle::kVicunaV1);
  EXPECT_FALSE(config.unknown_template.has_value());
}

TEST(ResolveConversation, AnUnknownTemplateIsKeptForWhoAsksToChat) {
  const ChatTemplateText stranger{.where = "x.json: chat_template", .text = "abc"};
  const ModelConfig config = Resolved(stranger);
  ASSERT_TRUE(config.unknown_template.has_value());
  EXPECT_EQ(config.unknown_template->name,
            "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(config.unknown_template->what,
            "x.json: chat_template: the template of SHA-256 "
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad is none of those "
            "that have a renderer here");
  const ModelConfig unnamed = Resolved(ChatTemplateText{.where = "x.json", .text = std::nullopt});
  EXPECT_EQ(unnamed.unknown_template->name, "no default template");
}

TEST(ResolveConversation, TheCallersWordGoesBeforeAll) {
  const ChatTemplateText stranger{.where = "x.json: chat_template", .text = "abc"};
  const ModelConfig config = Resolved(stranger, {.conversation = ConversationStyle::kQwen3});
  EXPECT_EQ(config.conversation, ConversationStyle::kQwen3);
  EXPECT_FALSE(config.unknown_template.has_value());
}

}  // namespace
}  // namespace binocle
