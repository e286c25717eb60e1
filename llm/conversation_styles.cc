#include "llm/conversation_styles.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "llm/utf8.h"

namespace binocle {
namespace {

bool IsUser(const Turn& turn) { return turn.role == Role::kUser; }

std::string_view RoleName(const Turn& turn) { return IsUser(turn) ? "user" : "assistant"; }

std::string Trimmed(std::string_view text) { return std::string(TrimBack(TrimFront(text))); }

// The conversation's text or, where it has none, the template's own; absent: no system turn.
std::optional<std::string> SystemText(const Conversation& conversation, std::string_view own) {
  if (conversation.system || own.empty()) return conversation.system;
  return std::string(own);
}

// Without the line feeds at its front, at its end.
std::string_view WithoutFirstLines(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}
std::string_view WithoutLastLines(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

std::string ChatmlTurn(std::string_view role, const std::string& text) {
  return "<|im_start|>" + std::string(role) + "\n" + text + "<|im_end|>\n";
}

// The last turn in which the user asks something, for Qwen3: tools' results come as users' turns and are no questions.
size_t LastQuestion(const Conversation& conversation) {
  for (size_t i = conversation.turns.size(); i-- > 0;) {
    const Turn& turn = conversation.turns[i];
    const bool result =
        turn.text.starts_with("<tool_response>") && turn.text.ends_with("</tool_response>");
    if (IsUser(turn) && !result) return i;
  }
  return conversation.turns.size() - 1;
}

// Qwen3 shows an answer's thoughts again only in the midst of using tools, and then in one spelling.
std::string Qwen3Answer(std::string_view text, bool with_thoughts) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  const size_t close = text.find(kClose);
  if (close == std::string_view::npos) return std::string(text);
  const std::string answer(WithoutFirstLines(text.substr(text.rfind(kClose) + kClose.size())));
  std::string_view thoughts = WithoutLastLines(text.substr(0, close));
  if (const size_t open = thoughts.rfind(kOpen); open != std::string_view::npos)
    thoughts = thoughts.substr(open + kOpen.size());
  thoughts = WithoutLastLines(WithoutFirstLines(thoughts));
  if (!with_thoughts || thoughts.empty()) return answer;
  return "<think>\n" + std::string(thoughts) + "\n</think>\n\n" + answer;
}

std::string Llama3Turn(std::string_view role, const std::string& text) {
  return "<|start_header_id|>" + std::string(role) + "<|end_header_id|>\n\n" + text + "<|eot_id|>";
}

constexpr std::string_view kLlama3Answer = "<|start_header_id|>assistant<|end_header_id|>\n\n";

std::string Llama3Turns(const Conversation& conversation) {
  std::string out;
  for (const Turn& turn : conversation.turns)
    out += Llama3Turn(RoleName(turn), Trimmed(WithMarkLines(turn)));
  return out + std::string(kLlama3Answer);
}

enum class SystemPlace : uint8_t { kNone, kFirstTurn, kLastTurn };

// What the versions of Mistral's templates write around the texts; </s> goes before `after_answer`.
struct InstSpelling {
  std::string_view open;
  std::string_view close;
  std::string_view before_answer;
  std::string_view after_answer;
  SystemPlace system;
  bool trims_answers;
};

// <s>[INST] {system}\n\n{question} [/INST] {answer}</s>[INST] …
std::string RenderInst(const Conversation& conversation, const InstSpelling& spelling) {
  const size_t last = conversation.turns.size() - 1;
  std::string out = conversation.bos;
  for (size_t i = 0; i <= last; ++i) {
    const Turn& turn = conversation.turns[i];
    if (!IsUser(turn)) {
      out += spelling.before_answer;
      out += spelling.trims_answers ? Trimmed(turn.text) : turn.text;
      out += conversation.eos + std::string(spelling.after_answer);
      continue;
    }
    const bool here = (spelling.system == SystemPlace::kFirstTurn && i == 0) ||
                      (spelling.system == SystemPlace::kLastTurn && i == last);
    out += spelling.open;
    if (here && conversation.system) out += *conversation.system + "\n\n";
    out += WithMarkLines(turn) + std::string(spelling.close);
  }
  return out;
}

// <<SYS>>\n{system}\n<</SYS>>\n\n[INST] {question} [/INST] {answer}{end} [INST] …
std::string RenderLlavaNextInst(const Conversation& conversation, std::string_view end) {
  std::string out;
  if (conversation.system) out += "<<SYS>>\n" + *conversation.system + "\n<</SYS>>\n\n";
  for (const Turn& turn : conversation.turns) {
    out += IsUser(turn) ? "[INST] " + WithMarkLines(turn) + " [/INST]"
                        : " " + turn.text + std::string(end) + " ";
  }
  return out;
}

}  // namespace

std::string PictureMarks(const Turn& turn, std::string_view mark) {
  std::string out;
  if (CountImageMarks(turn.text) > 0) return out;
  for (int i = 0; i < turn.images; ++i) out += mark;
  return out;
}

std::string WithMarkLines(const Turn& turn) { return PictureMarks(turn, "<image>\n") + turn.text; }

// <|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n
std::string RenderChatml(const Conversation& conversation, std::string_view own) {
  std::string out;
  if (const auto system = SystemText(conversation, own)) out += ChatmlTurn("system", *system);
  for (const Turn& turn : conversation.turns)
    out += ChatmlTurn(RoleName(turn), WithMarkLines(turn));
  return out + "<|im_start|>assistant\n";
}

std::string RenderQwen3(const Conversation& conversation, std::string_view own) {
  const size_t question = LastQuestion(conversation);
  Conversation shown = conversation;
  for (size_t i = 0; i < shown.turns.size(); ++i) {
    Turn& turn = shown.turns[i];
    if (!IsUser(turn)) turn.text = Qwen3Answer(turn.text, i > question);
  }
  return RenderChatml(shown, own);
}

std::string RenderQwen3Thinking(const Conversation& conversation, std::string_view own) {
  return RenderQwen3(conversation, own) + "<think>\n";
}

// <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{question} [/INST] {answer} </s><s>[INST] {question} [/INST]
std::string RenderLlama2(const Conversation& conversation, std::string_view own) {
  std::string out;
  std::string before;
  if (const auto system = SystemText(conversation, own))
    before = "<<SYS>>\n" + *system + "\n<</SYS>>\n\n";
  for (const Turn& turn : conversation.turns) {
    out += IsUser(turn)
               ? conversation.bos + "[INST] " + Trimmed(before + WithMarkLines(turn)) + " [/INST]"
               : " " + Trimmed(turn.text) + " " + conversation.eos;
    before.clear();
  }
  return out;
}

std::string RenderLlama3(const Conversation& conversation, std::string_view own) {
  std::string out = conversation.bos;
  if (const auto system = SystemText(conversation, own))
    out += Llama3Turn("system", Trimmed(*system));
  return out + Llama3Turns(conversation);
}

std::string RenderLlama31(const Conversation& conversation, std::string_view own) {
  return conversation.bos +
         Llama3Turn("system", std::string(own) + Trimmed(conversation.system.value_or(""))) +
         Llama3Turns(conversation);
}

// <|system|>\n{system}</s>\n<|user|>\n{question}</s>\n<|assistant|>\n
std::string RenderZephyr(const Conversation& conversation, std::string_view own) {
  const auto turn_of = [&](std::string_view role, const std::string& text) {
    return "<|" + std::string(role) + "|>\n" + text + conversation.eos + "\n";
  };
  std::string out;
  if (const auto system = SystemText(conversation, own)) out += turn_of("system", *system);
  for (const Turn& turn : conversation.turns) out += turn_of(RoleName(turn), WithMarkLines(turn));
  return out + "<|assistant|>\n";
}

std::string RenderMistralV01(const Conversation& conversation, std::string_view) {
  return RenderInst(conversation, {.open = "[INST] ",
                                   .close = " [/INST]",
                                   .before_answer = "",
                                   .after_answer = " ",
                                   .system = SystemPlace::kNone,
                                   .trims_answers = false});
}

std::string RenderMistralV02(const Conversation& conversation, std::string_view) {
  return RenderInst(conversation, {.open = "[INST] ",
                                   .close = " [/INST]",
                                   .before_answer = "",
                                   .after_answer = "",
                                   .system = SystemPlace::kNone,
                                   .trims_answers = false});
}

std::string RenderMistralV03(const Conversation& conversation, std::string_view) {
  return RenderInst(conversation, {.open = "[INST] ",
                                   .close = "[/INST]",
                                   .before_answer = "",
                                   .after_answer = "",
                                   .system = SystemPlace::kNone,
                                   .trims_answers = false});
}

std::string RenderMistralV1(const Conversation& conversation, std::string_view) {
  return RenderInst(conversation, {.open = " [INST] ",
                                   .close = " [/INST]",
                                   .before_answer = " ",
                                   .after_answer = "",
                                   .system = SystemPlace::kFirstTurn,
                                   .trims_answers = false});
}

std::string RenderMistralV3(const Conversation& conversation, std::string_view) {
  return RenderInst(conversation, {.open = "[INST] ",
                                   .close = "[/INST]",
                                   .before_answer = " ",
                                   .after_answer = "",
                                   .system = SystemPlace::kLastTurn,
                                   .trims_answers = true});
}

std::string RenderMistralV3Tekken(const Conversation& conversation, std::string_view) {
  return RenderInst(conversation, {.open = "[INST]",
                                   .close = "[/INST]",
                                   .before_answer = "",
                                   .after_answer = "",
                                   .system = SystemPlace::kLastTurn,
                                   .trims_answers = false});
}

// {system} USER: <image>\n{question} ASSISTANT: {answer} USER: {question} ASSISTANT:
std::string RenderLlavaHf(const Conversation& conversation, std::string_view own) {
  std::string out;
  if (const auto system = SystemText(conversation, own)) out += *system + " ";
  for (const Turn& turn : conversation.turns)
    out += (IsUser(turn) ? "USER: " : "ASSISTANT: ") + WithMarkLines(turn) + " ";
  return out + "ASSISTANT:";
}

std::string RenderLlavaNextMistral(const Conversation& conversation, std::string_view) {
  return RenderLlavaNextInst(conversation, "</s>");
}

// The template as it was first published: what it means for </s> is these four characters.
std::string RenderLlavaNextMistralBackslash(const Conversation& conversation, std::string_view) {
  return RenderLlavaNextInst(conversation, "<\\s>");
}

// Pictures stand right after the header; the text begins a line of its own even without one.
std::string RenderLlavaNextLlama3(const Conversation& conversation, std::string_view own) {
  std::string out;
  if (const auto system = SystemText(conversation, own))
    out += Llama3Turn("system", "\n" + *system);
  for (const Turn& turn : conversation.turns)
    out += Llama3Turn(RoleName(turn), PictureMarks(turn, "<image>") + "\n" + turn.text);
  return out + std::string(kLlama3Answer);
}

// <|im_start|>user <image>\n{question}<|im_end|><|im_start|>assistant\n    An earlier answer follows "assistant \n".
std::string RenderLlavaOnevision(const Conversation& conversation, std::string_view own) {
  const auto turn_of = [](std::string_view role, const std::string& text) {
    return "<|im_start|>" + std::string(role) + " " + text + "<|im_end|>";
  };
  std::string out;
  if (const auto system = SystemText(conversation, own)) out += turn_of("system", "\n" + *system);
  for (const Turn& turn : conversation.turns)
    out += turn_of(RoleName(turn), PictureMarks(turn, "<image>") + "\n" + turn.text);
  return out + "<|im_start|>assistant\n";
}

}  // namespace binocle
