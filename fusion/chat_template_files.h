// Where checkpoints keep their chat template, and which conversation style follows from it.
//
//   pictures        chat_template.json, else chat_template.jinja, else processor_config.json; then as text
//   text            chat_template.jinja, else tokenizer_config.json
//   GGUF            tokenizer.chat_template
//
// In JSON a template is a text, or a list of {"name", "template"} whose "default" counts. Reference: transformers 4.57.6
// ProcessorMixin.get_processor_dict, PreTrainedTokenizerBase._from_pretrained.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/gguf_metadata.h"
#include "fusion/model_config.h"

namespace binocle {

inline constexpr size_t kMaxChatTemplateBytes = size_t{1} << 20;

struct ChatTemplateText {
  std::string where;
  std::optional<std::string> text;  // absent: there are templates, and none is the default
};

enum class TemplateOwner : uint8_t { kTokenizer, kProcessor };

// Absent where the checkpoint has none. `owner` kProcessor: its processor's or, where that has none, its tokenizer's. Throws
// INVALID_ARGUMENT (file, key, found, expected), and RESOURCE_EXHAUSTED above kMaxChatTemplateBytes.
std::optional<ChatTemplateText> ReadChatTemplate(const std::filesystem::path& directory,
                                                 TemplateOwner owner);
std::optional<ChatTemplateText> ReadChatTemplate(const GgufMetadata& metadata,
                                                 const std::string& where);

// Sets config.conversation and config.unknown_template. Without a template the family's own style stays.
void ResolveConversation(const std::optional<ChatTemplateText>& found,
                         const ModelOverrides& overrides, ModelConfig& config);

}  // namespace binocle
