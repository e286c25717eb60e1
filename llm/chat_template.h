// The chat template that a checkpoint carries, recognised by its text. Templates are programs; none is run here: those of public
// checkpoints have renderers of their own (conversation.h), and a text that is not one of theirs is known by its hash alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "llm/conversation.h"

namespace binocle {

struct ChatTemplateMatch {
  std::string sha256;  // of the text as it is, 64 hexadecimal digits
  std::optional<ConversationStyle> style;
  std::string_view why = {};  // there is no style
};

ChatTemplateMatch MatchChatTemplate(std::string_view text);

// By the SHA-256 of a template without the line feed at its end, which templates may or may not have and which rendering drops.
struct ChatTemplateHash {
  std::string_view sha256;
  std::optional<ConversationStyle> style;  // absent: the template writes today's date
};
const ChatTemplateHash* FindChatTemplateHash(std::string_view sha256);

}  // namespace binocle
