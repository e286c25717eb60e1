#include "llm/conversation.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "llm/conversation_styles.h"

namespace binocle {
namespace {

constexpr std::string_view kVicunaSystem =
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions.";
constexpr std::string_view kLlavaLlama2System =
    "You are a helpful language and vision assistant. "
    "You are able to understand the visual content that the user provides, "
    "and assist the user with a variety of tasks using natural language.";
constexpr std::string_view kSmolLm2System =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
constexpr std::string_view kQwen15System = "You are a helpful assistant";
constexpr std::string_view kQwen2System = "You are a helpful assistant.";
constexpr std::string_view kQwen25System =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
// The template's own fixed date.
constexpr std::string_view kLlama31Dates =
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";

constexpr std::string_view kImEnd = "<|im_end|>";
constexpr std::string_view kEotId = "<|eot_id|>";

// {system} USER: {question} ASSISTANT: {answer}</s>USER: …    The space after the system text stays when that is empty.
std::string RenderVicunaV1(const Conversation& conversation, std::string_view own) {
  std::string out = conversation.system.value_or(std::string(own)) + " ";
  for (const Turn& turn : conversation.turns) {
    out += turn.role == Role::kUser ? "USER: " + WithMarkLines(turn) + " ASSISTANT:"
                                    : " " + turn.text + "</s>";
  }
  return out;
}

// [INST] <<SYS>>\n{system}\n<</SYS>>\n\n{question} [/INST] {answer} </s><s>[INST] {question} [/INST]
std::string RenderLlavaLlama2(const Conversation& conversation, std::string_view own) {
  const std::string system = conversation.system.value_or(std::string(own));
  std::string out = "[INST] <<SYS>>\n" + system + "\n<</SYS>>\n\n";
  for (size_t i = 0; i < conversation.turns.size(); ++i) {
    const Turn& turn = conversation.turns[i];
    if (turn.role == Role::kUser && i > 0) out += "<s>[INST] ";
    out += turn.role == Role::kUser ? WithMarkLines(turn) + " [/INST]" : " " + turn.text + " </s>";
  }
  return out;
}

// {question}\n{answer}\n    LLaVA has the first line only; the second is its continuation here.
std::string RenderPlain(const Conversation& conversation, std::string_view) {
  std::string out = conversation.system.value_or("");
  for (const Turn& turn : conversation.turns)
    out += (turn.role == Role::kUser ? WithMarkLines(turn) : turn.text) + "\n";
  return out;
}

// {system}<image><|user|> {question}<|assistant|> {answer}</s>
std::string RenderBinocle(const Conversation& conversation, std::string_view) {
  std::string out = conversation.system.value_or("");
  for (const Turn& turn : conversation.turns) {
    out += turn.role == Role::kUser
               ? PictureMarks(turn, kImageMark) + "<|user|> " + turn.text + "<|assistant|>"
               : " " + turn.text + "</s>";
  }
  return out;
}

// Whose rules a style follows.
enum class Origin : uint8_t {
  kConversation,          // LLaVA's conversation.py or our own
  kTemplate,              // a checkpoint's chat template
  kTemplateWithoutSystem  // one that has no place for a system text
};

struct Template {
  ConversationStyle style;
  std::string_view name;
  std::string_view stop;
  std::string_view system;  // its own text
  std::string (*render)(const Conversation&, std::string_view own);
  Origin origin = Origin::kTemplate;
};

using Style = ConversationStyle;

constexpr Template kTemplates[] = {
    {Style::kPlain, "plain", "\n", "", RenderPlain, Origin::kConversation},
    {Style::kBinocle, "binocle", "</s>", "", RenderBinocle, Origin::kConversation},
    {Style::kVicunaV1, "vicuna_v1", "</s>", kVicunaSystem, RenderVicunaV1, Origin::kConversation},
    {Style::kLlavaLlama2, "llava_llama_2", "</s>", kLlavaLlama2System, RenderLlavaLlama2,
     Origin::kConversation},
    {Style::kChatml, "chatml", kImEnd, "", RenderChatml},
    {Style::kSmolLm2, "smollm2", kImEnd, kSmolLm2System, RenderChatml},
    {Style::kQwen15, "qwen1_5", kImEnd, kQwen15System, RenderChatml},
    {Style::kQwen2, "qwen2", kImEnd, kQwen2System, RenderChatml},
    {Style::kQwen25, "qwen2_5", kImEnd, kQwen25System, RenderChatml},
    {Style::kQwen3, "qwen3", kImEnd, "", RenderQwen3},
    {Style::kQwen3Thinking, "qwen3_thinking", kImEnd, "", RenderQwen3Thinking},
    {Style::kLlama2, "llama2", "</s>", "", RenderLlama2},
    {Style::kLlama3, "llama3", kEotId, "", RenderLlama3},
    {Style::kLlama31, "llama3_1", kEotId, kLlama31Dates, RenderLlama31},
    {Style::kMistralV01, "mistral_v0_1", "</s>", "", RenderMistralV01,
     Origin::kTemplateWithoutSystem},
    {Style::kMistralV02, "mistral_v0_2", "</s>", "", RenderMistralV02,
     Origin::kTemplateWithoutSystem},
    {Style::kMistralV03, "mistral_v0_3", "</s>", "", RenderMistralV03,
     Origin::kTemplateWithoutSystem},
    {Style::kMistralV1, "mistral_v1", "</s>", "", RenderMistralV1},
    {Style::kMistralV3, "mistral_v3", "</s>", "", RenderMistralV3},
    {Style::kMistralV3Tekken, "mistral_v3_tekken", "</s>", "", RenderMistralV3Tekken},
    {Style::kZephyr, "zephyr", "</s>", "", RenderZephyr},
    {Style::kLlavaHf, "llava_hf", "</s>", "", RenderLlavaHf},
    {Style::kLlavaNextMistral, "llava_next_mistral", "</s>", "", RenderLlavaNextMistral},
    {Style::kLlavaNextMistralBackslash, "llava_next_mistral_backslash", "</s>", "",
     RenderLlavaNextMistralBackslash},
    {Style::kLlavaNextLlama3, "llava_next_llama3", kEotId, "", RenderLlavaNextLlama3},
    {Style::kLlavaOnevision, "llava_onevision", kImEnd, "", RenderLlavaOnevision},
    {Style::kLlavaChatml, "llava_chatml", kImEnd, "", RenderChatml},
};

const Template& TemplateOf(ConversationStyle style) {
  const auto same = [&](const Template& t) { return t.style == style; };
  const auto it = std::find_if(std::begin(kTemplates), std::end(kTemplates), same);
  BINOCLE_CHECK(it != std::end(kTemplates), static_cast<int>(style));
  return *it;
}

void CheckTurn(const Conversation& conversation, size_t index) {
  const Turn& turn = conversation.turns[index];
  const Role expected = index % 2 == 0 ? Role::kUser : Role::kAssistant;
  // As requests call it.
  const std::string where =
      conversation.turns.size() == 1 ? "prompt:" : internal::Concat("messages[", index, "]:");
  if (turn.role != expected) {
    ThrowInvalid(where, " is the ", turn.role == Role::kUser ? "user's" : "assistant's",
                 ", expected turns to alternate and the user to begin");
  }
  if (turn.images < 0) ThrowInvalid(where, " has ", turn.images, " images, expected 0 or more");
  if (turn.role == Role::kAssistant && turn.images != 0) {
    ThrowInvalid(where, " is the assistant's and has ", turn.images, " images, expected none");
  }
  if (!conversation.takes_pictures) return;
  const bool unmarked = turn.role == Role::kUser && CountImageMarks(turn.text) == 0;
  if (!unmarked) CheckImageMarks(turn.text, turn.images, where);
}

// What templates make of the rest is nothing that anybody wants: they raise, or leave the text out.
void CheckForTemplate(const Conversation& conversation, const Template& chosen) {
  if (chosen.origin == Origin::kTemplateWithoutSystem && !conversation.system.value_or("").empty())
    ThrowInvalid("system: conversation ", chosen.name, " has no place for it, expected none");
  if (conversation.turns.back().role != Role::kUser) {
    ThrowInvalid("messages: the last one is the assistant's, expected the user's: conversation ",
                 chosen.name, " continues no answer");
  }
}

}  // namespace

std::string_view ConversationStyleName(ConversationStyle style) { return TemplateOf(style).name; }

ConversationStyle ParseConversationStyle(std::string_view name, const std::string& where) {
  for (const Template& t : kTemplates) {
    if (t.name == name) return t.style;
  }
  ThrowInvalid(where, " is '", Printable(name, 60), "', expected one of ",
               ConversationStyleNames());
}

std::string ConversationStyleNames() {
  std::string names;
  for (const Template& t : kTemplates) names += internal::Concat(names.empty() ? "" : ", ", t.name);
  return names;
}

std::string RenderConversation(ConversationStyle style, const Conversation& conversation) {
  if (conversation.turns.empty())
    ThrowInvalid("the conversation has no turns, expected at least one");
  if (conversation.takes_pictures) CheckImageMarks(conversation.system.value_or(""), 0, "system:");
  for (size_t i = 0; i < conversation.turns.size(); ++i) CheckTurn(conversation, i);
  const Template& chosen = TemplateOf(style);
  if (chosen.origin != Origin::kConversation) CheckForTemplate(conversation, chosen);
  return chosen.render(conversation, chosen.system);
}

AddSpecial ConversationSpecials(ConversationStyle style, bool takes_pictures, std::string_view text,
                                std::string_view bos) {
  if (TemplateOf(style).origin == Origin::kConversation) return AddSpecial::kYes;
  const bool written = !bos.empty() && text.starts_with(bos);
  return takes_pictures && !written ? AddSpecial::kYes : AddSpecial::kNo;
}

std::vector<std::string> ConversationStops(ConversationStyle style) {
  return {std::string(TemplateOf(style).stop)};
}

int CountImageMarks(std::string_view text) {
  int count = 0;
  for (size_t at = 0; (at = text.find(kImageMark, at)) != std::string_view::npos;
       at += kImageMark.size())
    ++count;
  return count;
}

void CheckImageMarks(std::string_view text, int images, const std::string& where) {
  const int marks = CountImageMarks(text);
  if (marks == images) return;
  ThrowInvalid(where, " has ", marks, " <image> ", marks == 1 ? "mark" : "marks", ", expected ",
               images, ", one per image");
}

}  // namespace binocle
