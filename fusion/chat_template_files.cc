#include "fusion/chat_template_files.h"

#include "core/json.h"
#include "core/mapped_file.h"
#include "llm/chat_template.h"

namespace binocle {
namespace {

void CheckTemplateBytes(size_t bytes, const std::string& where) {
  if (bytes > kMaxChatTemplateBytes) {
    Throw(Code::kResourceExhausted, where, ": has ", bytes, " bytes, the limit is ",
          kMaxChatTemplateBytes);
  }
}

ChatTemplateText FromJson(const Json& value, const std::string& where) {
  ChatTemplateText found{.where = where, .text = std::nullopt};
  if (value.is_string()) {
    found.text = value.get<std::string>();
  } else if (value.is_array()) {
    for (const Json& item : value) {
      const JsonObject entry(item, where);
      if (entry.String("name") == "default") found.text = entry.String("template");
    }
  } else {
    ThrowInvalid(where, ": is a JSON ", value.type_name(), ", expected a text or a list");
  }
  CheckTemplateBytes(found.text.value_or("").size(), where);
  return found;
}

std::optional<ChatTemplateText> InJsonFile(const std::filesystem::path& path) {
  if (!IsThere(path)) return std::nullopt;
  const Json json = ReadJsonFile(path);
  const auto value = json.find("chat_template");
  if (value == json.end() || value->is_null()) return std::nullopt;
  return FromJson(*value, path.string() + ": chat_template");
}

std::optional<ChatTemplateText> InTextFile(const std::filesystem::path& path) {
  if (!IsThere(path)) return std::nullopt;
  return ChatTemplateText{.where = path.string(), .text = ReadFile(path, kMaxChatTemplateBytes)};
}

}  // namespace

std::optional<ChatTemplateText> ReadChatTemplate(const std::filesystem::path& directory,
                                                 TemplateOwner owner) {
  if (owner == TemplateOwner::kProcessor) {
    if (auto found = InJsonFile(directory / "chat_template.json")) return found;
    if (auto found = InTextFile(directory / "chat_template.jinja")) return found;
    if (auto found = InJsonFile(directory / "processor_config.json")) return found;
  }
  if (auto found = InTextFile(directory / "chat_template.jinja")) return found;
  return InJsonFile(directory / "tokenizer_config.json");
}

std::optional<ChatTemplateText> ReadChatTemplate(const GgufMetadata& metadata,
                                                 const std::string& where) {
  constexpr const char* kKey = "tokenizer.chat_template";
  if (!metadata.Has(kKey)) return std::nullopt;
  ChatTemplateText found{.where = where + ": " + kKey, .text = metadata.String(kKey)};
  CheckTemplateBytes(found.text->size(), found.where);
  return found;
}

void ResolveConversation(const std::optional<ChatTemplateText>& found,
                         const ModelOverrides& overrides, ModelConfig& config) {
  if (overrides.conversation) {
    config.conversation = *overrides.conversation;
    return;
  }
  if (!found) return;
  if (!found->text) {
    config.unknown_template = {.name = "no default template",
                               .what = found->where + ": has no template by the name of default"};
    return;
  }
  const ChatTemplateMatch match = MatchChatTemplate(*found->text);
  if (match.style) {
    config.conversation = *match.style;
  } else {
    config.unknown_template = {.name = "sha256 " + match.sha256,
                               .what = internal::Concat(found->where, ": the template of SHA-256 ",
                                                        match.sha256, " ", match.why)};
  }
}

}  // namespace binocle
