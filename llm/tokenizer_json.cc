#include "llm/tokenizer_json.h"

#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "core/mapped_file.h"
#include "llm/tokenizer_bpe.h"

namespace binocle {
namespace {

constexpr size_t kMaxMerges = size_t{1} << 22;
constexpr size_t kMaxSteps = 16;

[[noreturn]] void ThrowKind(const std::string& where, const std::string& found,
                            std::string_view expected) {
  Throw(Code::kUnimplemented, where, " is ", Printable(found, 60), ", expected ", expected);
}

// A list of at most `most`; empty where there is none.
const Json& ListOf(const JsonObject& json, const char* key, size_t most) {
  static const Json kNone = Json::array();
  if (!json.Has(key)) return kNone;
  const Json& list = json.json()[key];
  if (!list.is_array() || list.size() > most)
    json.Fail(key, "a list of at most " + std::to_string(most));
  return list;
}

// The parts of {"type": "Sequence", `list`: […]}, or the one that there is; none where `key` is absent or null.
std::vector<JsonObject> StepsOf(const JsonObject& json, const char* key, const char* list) {
  if (!json.Has(key)) return {};
  const JsonObject step = json.Object(key);
  if (step.String("type") != "Sequence") return {step};
  const Json& steps = ListOf(step, list, kMaxSteps);
  std::vector<JsonObject> out;
  for (const Json& one : steps) out.emplace_back(one, step.where());
  return out;
}

void ReadVocabulary(const JsonObject& model, BpeSpec& spec) {
  const JsonObject vocabulary = model.Object("vocab");
  if (vocabulary.json().empty() || vocabulary.json().size() > BpeSpec::kMaxTokens)
    model.Fail("vocab", "1 to " + std::to_string(BpeSpec::kMaxTokens) + " tokens");
  for (const auto& [spelling, value] : vocabulary.json().items()) {
    const auto id = static_cast<size_t>(
        vocabulary.Int(spelling, 0, static_cast<int64_t>(BpeSpec::kMaxTokens) - 1));
    if (id >= spec.spellings.size()) spec.spellings.resize(id + 1);
    if (!spec.spellings[id].empty()) vocabulary.Fail(spelling, "an id that no other token has");
    spec.spellings[id] = spelling;
  }
}

// "left right", or ["left", "right"] in newer files.
std::pair<std::string, std::string> MergeOf(const Json& json, const JsonObject& model) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string())
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  const std::string text = json.is_string() ? json.get<std::string>() : "";
  const size_t space = text.find(' ');
  if (space == std::string::npos) model.Fail("merges", "pairs of tokens");
  return {text.substr(0, space), text.substr(space + 1)};
}

void ReadMerges(const JsonObject& model, BpeSpec& spec) {
  std::unordered_map<std::string, int32_t> ids;
  for (size_t id = 0; id < spec.spellings.size(); ++id)
    ids[spec.spellings[id]] = static_cast<int32_t>(id);
  const auto id_of = [&](const std::string& spelling) {
    const auto found = ids.find(spelling);
    if (spelling.empty() || found == ids.end())
      ThrowInvalid(model.where(), ": merges: '", Printable(spelling, 60),
                   "' is no token of the vocabulary");
    return found->second;
  };
  for (const Json& merge : ListOf(model, "merges", kMaxMerges)) {
    const auto [left, right] = MergeOf(merge, model);
    spec.merges.emplace_back(id_of(left), id_of(right));
  }
}

void ReadModel(const JsonObject& model, BpeSpec& spec) {
  const std::string type = model.StringOr("type", "BPE");
  if (type != "BPE") ThrowKind(model.where() + ": type", type, "BPE");
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.Has(key) && model.json()[key] != "")
      ThrowKind(model.where() + ": " + key, model.json()[key].dump(), "null");
  }
  if (model.BoolOr("byte_fallback", false)) {
    ThrowKind(model.where() + ": byte_fallback", "true",
              "false (a vocabulary of sentencepiece is read from tokenizer.model)");
  }
  spec.whole_words = model.BoolOr("ignore_merges", false);
  ReadVocabulary(model, spec);
  ReadMerges(model, spec);
}

void ReadNormalizer(const JsonObject& json, BpeSpec& spec) {
  for (const JsonObject& step : StepsOf(json, "normalizer", "normalizers")) {
    const std::string type = step.String("type");
    if (type != "NFC") ThrowKind(step.where() + ": type", type, "NFC");
    spec.nfc = true;
  }
}

SplitStep SplitOf(const JsonObject& step) {
  const JsonObject pattern = step.Object("pattern");
  if (!pattern.Has("Regex"))
    ThrowKind(pattern.where(), Printable(pattern.json().dump(), 60), "a Regex");
  const std::string behavior = step.StringOr("behavior", "Isolated");
  const bool inverted = step.BoolOr("invert", false);
  const bool removes = behavior == "Removed" && inverted;  // what does not match
  if (!removes && (behavior != "Isolated" || inverted)) {
    ThrowKind(step.where() + ": behavior", behavior + (inverted ? ", inverted" : ""),
              "Isolated, or Removed and inverted");
  }
  return PatternSplit{.pattern = WordPattern(pattern.String("Regex"), step.where()),
                      .keep_rest = !removes};
}

void ReadPreTokenizer(const JsonObject& json, BpeSpec& spec) {
  bool bytes = false;
  for (const JsonObject& step : StepsOf(json, "pre_tokenizer", "pretokenizers")) {
    const std::string type = step.String("type");
    if (bytes) ThrowKind(step.where() + ": type", type, "nothing behind ByteLevel");
    if (type == "Split") {
      spec.splits.push_back(SplitOf(step));
    } else if (type == "Digits") {
      spec.splits.emplace_back(DigitSplit{step.BoolOr("individual_digits", false)});
    } else if (type == "ByteLevel") {
      bytes = true;
      spec.prefix_space = step.BoolOr("add_prefix_space", true);
      if (spec.prefix_space && !spec.splits.empty())
        ThrowKind(step.where() + ": add_prefix_space", "true", "false behind other steps");
      if (step.BoolOr("use_regex", true))
        spec.splits.emplace_back(PatternSplit{WordPattern(kGpt2Pattern, step.where())});
    } else {
      ThrowKind(step.where() + ": type", type, "Split, Digits or ByteLevel");
    }
  }
  if (!bytes)
    ThrowKind(json.where() + ": pre_tokenizer", "without ByteLevel", "a byte-level vocabulary");
}

// TemplateProcessing: what stands around the text, $A.
void ReadTemplate(const JsonObject& step, BpeSpec& spec) {
  bool behind = false;
  for (const Json& piece : ListOf(step, "single", kMaxSteps)) {
    const JsonObject object(piece, step.where() + ": single");
    if (object.Has("Sequence")) {
      behind = true;
      continue;
    }
    const std::string name = object.Object("SpecialToken").String("id");
    const JsonObject token = step.Object("special_tokens").Object(name);
    for (const double id : token.Numbers("ids")) {
      if (id < 0 || id > TokenizerConfig::kMaxId) token.Fail("ids", "token ids");
      (behind ? spec.back : spec.front).push_back(static_cast<int32_t>(id));
    }
  }
}

void ReadPostProcessor(const JsonObject& json, BpeSpec& spec) {
  for (const JsonObject& step : StepsOf(json, "post_processor", "processors")) {
    const std::string type = step.String("type");
    if (type == "TemplateProcessing") {
      ReadTemplate(step, spec);
    } else if (type != "ByteLevel") {  // which only moves offsets
      ThrowKind(step.where() + ": type", type, "TemplateProcessing or ByteLevel");
    }
  }
}

void ReadDecoder(const JsonObject& json) {
  const std::string type = json.Has("decoder") ? json.Object("decoder").String("type") : "none";
  if (type != "ByteLevel") ThrowKind(json.where() + ": decoder: type", type, "ByteLevel");
}

void ReadRoles(const FastTokenizerConfig& config, BpeSpec& spec) {
  const auto id_of = [&](const std::optional<std::string>& content) {
    if (!content) return -1;
    for (const auto& [id, token] : spec.added)
      if (token.content == *content) return id;
    // Of the vocabulary alone: a token with a role is an added one, whatever the lists say.
    const auto found = std::find(spec.spellings.begin(), spec.spellings.end(), *content);
    if (found == spec.spellings.end()) return -1;
    const auto id = static_cast<int32_t>(found - spec.spellings.begin());
    spec.added[id] = {.content = *content, .special = true};
    return id;
  };
  spec.bos = id_of(config.bos);
  spec.eos = id_of(config.eos);
  spec.unk = id_of(config.unk);
  spec.pad = id_of(config.pad);
  if (!config.llama_ends) return;
  const auto one = [](bool wanted, int32_t id) {
    return wanted && id >= 0 ? std::vector<int32_t>{id} : std::vector<int32_t>{};
  };
  spec.front = one(config.llama_ends->bos, spec.bos);
  spec.back = one(config.llama_ends->eos, spec.eos);
}

void CheckIds(const BpeSpec& spec, const std::string& where) {
  const auto known = [&](int32_t id) {
    return spec.added.contains(id) || (id >= 0 && static_cast<size_t>(id) < spec.spellings.size() &&
                                       !spec.spellings[static_cast<size_t>(id)].empty());
  };
  for (const auto* ids : {&spec.front, &spec.back}) {
    for (const int32_t id : *ids)
      if (!known(id)) ThrowInvalid(where, ": post_processor: id ", id, " is no token");
  }
}

}  // namespace

std::unique_ptr<Tokenizer> LoadJsonTokenizer(const std::filesystem::path& directory) {
  const auto path = directory / "tokenizer.json";
  const Json file = ReadJsonFile(path);
  const JsonObject json(file, path.string());
  BpeSpec spec;
  ReadModel(json.Object("model"), spec);
  ReadNormalizer(json, spec);
  ReadPreTokenizer(json, spec);
  ReadPostProcessor(json, spec);
  ReadDecoder(json);
  const FastTokenizerConfig config = ReadFastTokenizerConfig(directory);
  if (json.Object("pre_tokenizer").StringOr("type", "") == "ByteLevel")
    spec.prefix_space = config.add_prefix_space;
  spec.added = config.added;
  for (const auto& [id, token] : spec.added) {
    if (token.single_word)
      ThrowKind(path.string() + ": added token " + Printable(token.content, 60), "single_word",
                "one that is found anywhere");
  }
  ReadRoles(config, spec);
  CheckIds(spec, path.string());
  return MakeBpeTokenizer(std::move(spec), path.string());
}

}  // namespace binocle
