// Dialogues to prompts: the text that a model was trained to continue.
//
// A rendered prompt marks each picture with <image>; it ends where the assistant's next words belong, unless the
// assistant spoke last. The <s> in front of the sequence is the tokenizer's and is not written, but by those public
// templates that write it. Facts: llava/conversation.py of the public LLaVA repository for vicuna_v1, llava_llama_2 and
// plain, docs/model_format.md for `binocle`, conversation_styles.h for all others.
//
//   RenderConversation(ConversationStyle::kVicunaV1, {.turns = {{.text = "What is it?", .images = 1}}})
//   → "A chat between … questions. USER: <image>\nWhat is it? ASSISTANT:"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/tokenizer.h"

namespace binocle {

inline constexpr std::string_view kImageMark = "<image>";

enum class ConversationStyle : uint8_t {
  kPlain,
  kBinocle,
  kVicunaV1,
  kLlavaLlama2,
  // Chat templates of public checkpoints.
  kChatml,
  kSmolLm2,
  kQwen15,
  kQwen2,
  kQwen25,
  kQwen3,
  kQwen3Thinking,
  kLlama2,
  kLlama3,
  kLlama31,
  kMistralV01,
  kMistralV02,
  kMistralV03,
  kMistralV1,
  kMistralV3,
  kMistralV3Tekken,
  kZephyr,
  kLlavaHf,
  kLlavaNextMistral,
  kLlavaNextMistralBackslash,
  kLlavaNextLlama3,
  kLlavaOnevision,
  kLlavaChatml,
};

// "plain", "vicuna_v1", "qwen2_5", …: docs/model_format.md. Parsing anything else is INVALID_ARGUMENT; `where` names its place.
std::string_view ConversationStyleName(ConversationStyle style);
ConversationStyle ParseConversationStyle(std::string_view name, const std::string& where);
std::string ConversationStyleNames();  // all, with commas

enum class Role : uint8_t { kUser, kAssistant };

struct Turn {
  Role role = Role::kUser;
  std::string text = {};
  int images = 0;  // of a user's turn
};

struct Conversation {
  // Absent: the style's own text. Empty: none, and in a public template what that makes of an empty one.
  std::optional<std::string> system = {};
  std::vector<Turn> turns = {};  // user, assistant, user, …
  // The tokenizer's, where a public template writes them.
  std::string bos = "<s>";
  std::string eos = "</s>";
  bool takes_pictures = true;  // else a mark of one is text like any other
};

// A user's text may place its pictures itself: then it has one mark per picture. Without marks they come first.
// Throws INVALID_ARGUMENT for another number of marks, for marks in a system or assistant text, for turns out of order
// and, in a public template, for a system text where it has no place and for an assistant who speaks last.
std::string RenderConversation(ConversationStyle style, const Conversation& conversation);

// Where an answer ends, beside the end-of-sequence token.
std::vector<std::string> ConversationStops(ConversationStyle style);

// Whether the tokenizer adds its special tokens to the rendered `text`. As transformers: never to a text model's template,
// to a processor's where that has not written `bos` itself.
AddSpecial ConversationSpecials(ConversationStyle style, bool takes_pictures, std::string_view text,
                                std::string_view bos);

int CountImageMarks(std::string_view text);
// Throws INVALID_ARGUMENT unless `text` has exactly `images` marks; `where` names the text. For raw prompts.
void CheckImageMarks(std::string_view text, int images, const std::string& where);

}  // namespace binocle
