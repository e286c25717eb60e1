#include "llm/tokenizer_config.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "core/mapped_file.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

constexpr size_t kMaxContentBytes = 1024;
constexpr size_t kMaxAddedTokens = 65536;
constexpr const char* kRoleKeys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                     "pad_token", "cls_token", "mask_token"};

std::string CheckedContent(std::string content, const std::string& where) {
  if (content.empty() || content.size() > kMaxContentBytes) {
    ThrowInvalid(where, ": content has ", content.size(), " bytes, expected 1 to ",
                 kMaxContentBytes);
  }
  if (!IsUtf8(content))
    ThrowInvalid(where, ": content '", Printable(content, 60), "' is not UTF-8");
  return content;
}

// A token is written as its text or as {"content": …, "special": …, …}.
AddedToken ParseToken(const Json& json, const std::string& where) {
  if (json.is_string()) return {.content = CheckedContent(json.get<std::string>(), where)};
  const JsonObject object(json, where);
  const bool special = object.BoolOr("special", false);
  return {.content = CheckedContent(object.String("content"), where),
          .special = special,
          .lstrip = object.BoolOr("lstrip", false),
          .rstrip = object.BoolOr("rstrip", false),
          .single_word = object.BoolOr("single_word", false),
          .normalized = object.BoolOr("normalized", !special)};
}

int32_t CheckedId(int64_t id, const std::string& where) {
  constexpr int32_t kMaxId = TokenizerConfig::kMaxId;
  if (id < 0 || id > kMaxId)
    ThrowInvalid(where, ": id ", id, " is out of range, expected 0 to ", kMaxId);
  return static_cast<int32_t>(id);
}

int32_t ParseId(const std::string& text, const std::string& where) {
  int64_t id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) {
    ThrowInvalid(where, ": key '", Printable(text, 60), "' is not a token id");
  }
  return CheckedId(id, where);
}

void CheckCount(size_t count, const std::string& where) {
  if (count > kMaxAddedTokens)
    ThrowInvalid(where, ": ", count, " added tokens, at most ", kMaxAddedTokens, " are supported");
}

std::map<int32_t, AddedToken> ParseAddedTokensDecoder(const JsonObject& decoder) {
  CheckCount(decoder.json().size(), decoder.where());
  std::map<int32_t, AddedToken> added;
  for (const auto& [key, value] : decoder.json().items()) {
    added[ParseId(key, decoder.where())] =
        ParseToken(value, internal::Concat(decoder.where(), ": ", Printable(key, 20)));
  }
  return added;
}

// added_tokens.json: {"<image>": 32000}. `roles` are special, the others are not.
void ReadAddedTokens(const std::filesystem::path& path, const std::vector<AddedToken>& roles,
                     std::map<int32_t, AddedToken>& added) {
  const Json json = ReadJsonFile(path);
  const JsonObject object(json, path.string());
  CheckCount(json.size(), path.string());
  for (const auto& item : json.items()) {
    const std::string& content = item.key();
    const std::string where = path.string() + ": " + Printable(content, 60);
    if (!item.value().is_number_integer()) ThrowInvalid(where, ": is not an integer");
    const auto same = [&](const AddedToken& role) { return role.content == content; };
    const bool special = std::any_of(roles.begin(), roles.end(), same);
    added[CheckedId(item.value().get<int64_t>(), where)] = {
        .content = CheckedContent(content, where), .special = special};
  }
}

// tokenizer.json: {"added_tokens": [{"id": …, "content": …, …}]}.
void ReadFastAddedTokens(const std::filesystem::path& path, std::map<int32_t, AddedToken>& added) {
  const Json json = ReadJsonFile(path);
  const auto list = json.find("added_tokens");
  if (list == json.end()) return;
  const std::string where = path.string() + ": added_tokens";
  if (!list->is_array())
    ThrowInvalid(where, ": is a JSON ", list->type_name(), ", expected a list");
  CheckCount(list->size(), where);
  for (const Json& item : *list) {
    const JsonObject object(item, where);
    added[static_cast<int32_t>(object.Int("id", 0, TokenizerConfig::kMaxId))] =
        ParseToken(item, where);
  }
}

// The tokens that have a role. `json` is tokenizer_config.json, over which special_tokens_map.json has been laid where
// it counts.
class Roles {
 public:
  enum class Defaults : uint8_t { kNone, kLlama };

  Roles(const JsonObject& json, Defaults defaults) : json_(json), defaults_(defaults) {}

  // `Config`: with bos, eos, unk and pad. `all`: every token with a role, in order.
  template <typename Config>
  void Read(Config& config, std::vector<AddedToken>& all) const {
    for (const char* key : kRoleKeys) {
      const std::optional<AddedToken> token = Named(key);
      if (!token) continue;
      Add(*token, all);
      const std::string_view name = key;
      if (name == "bos_token") config.bos = token->content;
      if (name == "eos_token") config.eos = token->content;
      if (name == "unk_token") config.unk = token->content;
      if (name == "pad_token") config.pad = token->content;
    }
    ReadMany("additional_special_tokens", all);
    ReadMany("extra_special_tokens", all);
  }

 private:
  // LLaMA's bos, eos and unk have defaults, which an explicit null removes.
  std::optional<AddedToken> Named(const std::string& key) const {
    static const std::map<std::string, std::string> kDefaults = {
        {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
    if (json_.Has(key)) return ParseToken(json_.json().at(key), json_.where() + ": " + key);
    const auto fallback = kDefaults.find(key);
    if (defaults_ == Defaults::kNone || json_.json().contains(key) || fallback == kDefaults.end())
      return std::nullopt;
    return AddedToken{.content = fallback->second};
  }

  // A list of tokens, or an object whose values are tokens.
  void ReadMany(const std::string& key, std::vector<AddedToken>& roles) const {
    if (!json_.Has(key)) return;
    const Json& many = json_.json().at(key);
    const std::string where = json_.where() + ": " + key;
    if (!many.is_array() && !many.is_object()) {
      ThrowInvalid(where, ": is a JSON ", many.type_name(), ", expected a list or an object");
    }
    CheckCount(many.size(), where);
    for (const Json& item : many) Add(ParseToken(item, where), roles);
  }

  static void Add(AddedToken token, std::vector<AddedToken>& roles) {
    const auto same = [&](const AddedToken& role) { return role.content == token.content; };
    if (std::any_of(roles.begin(), roles.end(), same)) return;
    token.special = true;
    roles.push_back(std::move(token));
  }

  const JsonObject& json_;
  const Defaults defaults_;
};

void CheckSupported(const JsonObject& json) {
  const std::string name = json.StringOr("tokenizer_class", "LlamaTokenizer");
  if (name != "LlamaTokenizer" && name != "LlamaTokenizerFast") {
    Throw(Code::kUnimplemented, json.where(), ": tokenizer_class is ", Printable(name, 60),
          ", supported with tokenizer.model: LlamaTokenizer");
  }
  if (json.BoolOr("split_special_tokens", false)) {
    Throw(Code::kUnimplemented, json.where(),
          ": split_special_tokens is true, only false is supported");
  }
  if (json.Has("sp_model_kwargs") && !json.Object("sp_model_kwargs").json().empty()) {
    Throw(Code::kUnimplemented, json.where(),
          ": sp_model_kwargs is not empty, sampled segmentation is not supported");
  }
}

}  // namespace

TokenizerConfig ReadTokenizerConfig(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  const fs::path path = directory / "tokenizer_config.json";
  Json json = IsThere(path) ? ReadJsonFile(path) : Json::object();
  const JsonObject file(json, path.string());
  CheckSupported(file);
  const bool listed = file.Has("added_tokens_decoder");
  const fs::path map = directory / "special_tokens_map.json";
  if (!listed && IsThere(map)) json.update(ReadJsonFile(map));

  TokenizerConfig config{.legacy = file.BoolOr("legacy", true),
                         .add_bos = file.BoolOr("add_bos_token", true),
                         .add_eos = file.BoolOr("add_eos_token", false),
                         .add_prefix_space = file.BoolOr("add_prefix_space", true)};
  Roles(file, Roles::Defaults::kLlama).Read(config, config.roles);
  if (listed) {
    config.added = ParseAddedTokensDecoder(file.Object("added_tokens_decoder"));
  } else {
    const fs::path slow = directory / "added_tokens.json";
    const fs::path fast = directory / "tokenizer.json";
    if (IsThere(slow)) ReadAddedTokens(slow, config.roles, config.added);
    if (IsThere(fast)) ReadFastAddedTokens(fast, config.added);
  }
  return config;
}

FastTokenizerConfig ReadFastTokenizerConfig(const std::filesystem::path& directory) {
  FastTokenizerConfig config;
  ReadFastAddedTokens(directory / "tokenizer.json", config.added);
  const std::filesystem::path path = directory / "tokenizer_config.json";
  const std::filesystem::path map = directory / "special_tokens_map.json";
  Json json = IsThere(path) ? ReadJsonFile(path) : Json::object();
  const JsonObject file(json, path.string());
  if (file.Has("added_tokens_decoder")) {
    for (const auto& [id, token] : ParseAddedTokensDecoder(file.Object("added_tokens_decoder")))
      config.added[id] = token;
  } else if (IsThere(map)) {
    json.update(ReadJsonFile(map));
  }
  config.add_prefix_space = file.BoolOr("add_prefix_space", false);
  const std::string type = file.StringOr("tokenizer_class", "");
  if (type == "LlamaTokenizer" || type == "LlamaTokenizerFast") {
    config.llama_ends = {.bos = file.BoolOr("add_bos_token", true),
                         .eos = file.BoolOr("add_eos_token", false)};
  }
  std::vector<AddedToken> roles;
  Roles(file, Roles::Defaults::kNone).Read(config, roles);
  for (auto& entry : config.added) {
    AddedToken& token = entry.second;
    const auto same = [&](const AddedToken& role) { return role.content == token.content; };
    token.special = token.special || std::any_of(roles.begin(), roles.end(), same);
  }
  return config;
}

}  // namespace binocle
