#include "llm/conversation.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"

namespace binocle {
namespace {

constexpr std::string_view kVicunaSystem =
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions.";
constexpr std::string_view kLlavaLlama2System =
    "You are a helpful language and vision assistant. "
    "You are able to understand the visual content that the user provides, "
    "and assist the user with a variety of tasks using natural language.";

std::string Repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// How many marks the template must still write for this turn: none where the text has its own.
int MarksToWrite(const Turn& turn) { return CountImageMarks(turn.text) > 0 ? 0 : turn.images; }

// LLaVA gives each picture a line of its own before the text.
std::string WithMarkLines(const Turn& turn) {
  return Repeat("<image>\n", MarksToWrite(turn)) + turn.text;
}

// {system} USER: {question} ASSISTANT: {answer}</s>USER: …    The space after the system text stays when that is empty.
std::string RenderVicunaV1(const Conversation& conversation) {
  std::string out = conversation.system.value_or(std::string(kVicunaSystem)) + " ";
  for (const Turn& turn : conversation.turns) {
    out += turn.role == Role::kUser ? "USER: " + WithMarkLines(turn) + " ASSISTANT:"
                                    : " " + turn.text + "</s>";
  }
  return out;
}

// [INST] <<SYS>>\n{system}\n<</SYS>>\n\n{question} [/INST] {answer} </s><s>[INST] {question} [/INST]
std::string RenderLlavaLlama2(const Conversation& conversation) {
  const std::string system = conversation.system.value_or(std::string(kLlavaLlama2System));
  std::string out = "[INST] <<SYS>>\n" + system + "\n<</SYS>>\n\n";
  for (size_t i = 0; i < conversation.turns.size(); ++i) {
    const Turn& turn = conversation.turns[i];
    if (turn.role == Role::kUser && i > 0) out += "<s>[INST] ";
    out += turn.role == Role::kUser ? WithMarkLines(turn) + " [/INST]" : " " + turn.text + " </s>";
  }
  return out;
}

// {question}\n{answer}\n    LLaVA has the first line only; the second is its continuation here.
std::string RenderPlain(const Conversation& conversation) {
  std::string out = conversation.system.value_or("");
  for (const Turn& turn : conversation.turns)
    out += (turn.role == Role::kUser ? WithMarkLines(turn) : turn.text) + "\n";
  return out;
}

// {system}<image><|user|> {question}<|assistant|> {answer}</s>
std::string RenderBinocle(const Conversation& conversation) {
  std::string out = conversation.system.value_or("");
  for (const Turn& turn : conversation.turns) {
    out += turn.role == Role::kUser
               ? Repeat(kImageMark, MarksToWrite(turn)) + "<|user|> " + turn.text + "<|assistant|>"
               : " " + turn.text + "</s>";
  }
  return out;
}

struct Template {
  ConversationStyle style;
  std::string_view name;
  std::string_view stop;
  std::string (*render)(const Conversation&);
};

constexpr Template kTemplates[] = {
    {ConversationStyle::kPlain, "plain", "\n", RenderPlain},
    {ConversationStyle::kBinocle, "binocle", "</s>", RenderBinocle},
    {ConversationStyle::kVicunaV1, "vicuna_v1", "</s>", RenderVicunaV1},
    {ConversationStyle::kLlavaLlama2, "llava_llama_2", "</s>", RenderLlavaLlama2},
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
  const bool unmarked = turn.role == Role::kUser && CountImageMarks(turn.text) == 0;
  if (!unmarked) CheckImageMarks(turn.text, turn.images, where);
}

}  // namespace

std::string_view ConversationStyleName(ConversationStyle style) { return TemplateOf(style).name; }

ConversationStyle ParseConversationStyle(std::string_view name, const std::string& where) {
  std::string names;
  for (const Template& t : kTemplates) {
    if (t.name == name) return t.style;
    names += internal::Concat(names.empty() ? "" : ", ", t.name);
  }
  ThrowInvalid(where, " is '", Printable(name, 60), "', expected one of ", names);
}

std::string RenderConversation(ConversationStyle style, const Conversation& conversation) {
  if (conversation.turns.empty())
    ThrowInvalid("the conversation has no turns, expected at least one");
  CheckImageMarks(conversation.system.value_or(""), 0, "system:");
  for (size_t i = 0; i < conversation.turns.size(); ++i) CheckTurn(conversation, i);
  return TemplateOf(style).render(conversation);
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
