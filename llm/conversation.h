// Dialogues to prompts: the text that a model was trained to continue.
//
// A rendered prompt marks each picture with <image>; it ends where the assistant's next words belong, unless the
// assistant spoke last. The <s> in front of the sequence is the tokenizer's and is not written. Facts:
// llava/conversation.py of the public LLaVA repository, docs/model_format.md for `binocle`.
//
//   RenderConversation(ConversationStyle::kVicunaV1, {.turns = {{.text = "What is it?", .images = 1}}})
//   → "A chat between … questions. USER: <image>\nWhat is it? ASSISTANT:"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binocle {

inline constexpr std::string_view kImageMark = "<image>";

enum class ConversationStyle : uint8_t { kPlain, kBinocle, kVicunaV1, kLlavaLlama2 };

// "plain", "binocle", "vicuna_v1", "llava_llama_2". Parsing anything else is INVALID_ARGUMENT; `where` names its place.
std::string_view ConversationStyleName(ConversationStyle style);
ConversationStyle ParseConversationStyle(std::string_view name, const std::string& where);

enum class Role : uint8_t { kUser, kAssistant };

struct Turn {
  Role role = Role::kUser;
  std::string text = {};
  int images = 0;  // of a user's turn
};

struct Conversation {
  std::optional<std::string> system = {};  // absent: the style's own text; empty: none
  std::vector<Turn> turns = {};            // user, assistant, user, …
};

// A user's text may place its pictures itself: then it has one mark per picture. Without marks they come first.
// Throws INVALID_ARGUMENT for another number of marks, for marks in a system or assistant text, and for turns out of
// order.
std::string RenderConversation(ConversationStyle style, const Conversation& conversation);

// Where an answer ends, beside the end-of-sequence token.
std::vector<std::string> ConversationStops(ConversationStyle style);

int CountImageMarks(std::string_view text);
// Throws INVALID_ARGUMENT unless `text` has exactly `images` marks; `where` names the text. For raw prompts.
void CheckImageMarks(std::string_view text, int images, const std::string& where);

}  // namespace binocle
