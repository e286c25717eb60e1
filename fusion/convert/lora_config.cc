#include "fusion/convert/lora_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/json.h"
#include "core/mapped_file.h"

namespace binocle {
namespace {

constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxPatterns = 4096;

[[noreturn]] void ThrowVariant(const JsonObject& json, const char* key, const char* expected) {
  Throw(Code::kUnimplemented, json.where(), ": ", key, " is ",
        Printable(json.json()[key].dump(-1, ' ', false, Json::error_handler_t::replace), 60),
        ", expected ", expected);
}

bool SaysNothing(const Json& value) {
  return value.is_null() || value == false ||
         ((value.is_array() || value.is_object()) && value.empty());
}

// Keys by which an adapter is more than W + s·B·A. All that begins with use_ and is not known may be, too.
void RefuseVariants(const JsonObject& json) {
  for (const char* key : {"use_dora", "use_qalora", "use_bdlora", "lora_bias", "target_parameters",
                          "trainable_token_indices", "layer_replication", "alora_invocation_tokens",
                          "arrow_config", "kasa_config", "monteclora_config", "fan_in_fan_out"}) {
    if (json.json().contains(key) && !SaysNothing(json.json()[key]))
      ThrowVariant(json, key,
                   std::string_view(key) == "fan_in_fan_out"
                       ? "false: no model here stores its matrices transposed"
                       : "none: only plain LoRA is merged");
  }
  for (const auto& [key, value] : json.json().items()) {
    if (key.starts_with("use_") && key != "use_rslora" && !SaysNothing(value))
      ThrowVariant(json, key.c_str(), "none: only plain LoRA is merged");
  }
  // These take a part out of the base before training, so that the adapter does not fit the base as it was.
  const Json& init = json.json().value("init_lora_weights", Json(true));
  constexpr std::string_view kKeepTheBase[] = {"gaussian", "eva", "orthogonal"};
  const bool keeps =
      !init.is_string() || std::find(std::begin(kKeepTheBase), std::end(kKeepTheBase),
                                     init.get<std::string>()) != std::end(kKeepTheBase);
  if (!keeps) ThrowVariant(json, "init_lora_weights", "true, false, gaussian, eva or orthogonal");
}

// PEFT matches (.*\.)?(KEY)$ from the front. Here a text that would take a matcher with backtracking for ever is refused when the
// automaton is made.
Automaton ModulesOf(const std::string& key) {
  const bool whole = key.starts_with("^");
  Nfa nfa;
  nfa.Accept(nfa.AddRegex(Nfa::kStart, ParseRegex(whole ? key : "(.*\\.)?(" + key + ")")));
  return Determinize(nfa);
}

// In the order of the file, which counts.
std::vector<ModulePattern> PatternsOf(const OrderedJson& json, const char* key,
                                      const std::string& file, double low, double high) {
  std::vector<ModulePattern> patterns;
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return patterns;
  const std::string where = file + ": " + key;
  if (!found->is_object() || found->size() > kMaxPatterns)
    ThrowInvalid(where, ": expected an object of at most ", kMaxPatterns, " patterns");
  for (const auto& [pattern, value] : found->items()) {
    const std::string entry = where + ": " + Printable(pattern, 60);
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!(number >= low && number <= high))
      ThrowInvalid(entry, ": is ",
                   Printable(value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace), 40),
                   ", expected a number from ", low, " to ", high);
    try {
      patterns.push_back({ModulesOf(pattern), number});
    } catch (const Error& error) {
      throw WithContext(error, entry);
    }
  }
  return patterns;
}

LoraConfig::Biases BiasesOf(const JsonObject& json) {
  const std::string bias = json.Choice("bias", "none", {"none", "all", "lora_only"});
  if (bias == "none") return LoraConfig::Biases::kNone;
  return bias == "all" ? LoraConfig::Biases::kAll : LoraConfig::Biases::kOfMatrices;
}

std::vector<std::string> NameList(const JsonObject& json, const char* key) {
  std::vector<std::string> names;
  if (!json.Has(key)) return names;
  const Json& list = json.json()[key];
  if (!list.is_array()) json.Fail(key, "a list of names");
  for (const Json& name : list) {
    if (!name.is_string() || name.get<std::string>().empty()) json.Fail(key, "a list of names");
    names.push_back(name.get<std::string>());
  }
  return names;
}

double ValueFor(const std::vector<ModulePattern>& patterns, std::string_view module,
                double otherwise) {
  for (const ModulePattern& pattern : patterns)
    if (pattern.names.Accepts(module)) return pattern.value;
  return otherwise;
}

}  // namespace

int64_t LoraConfig::RankOf(std::string_view module) const {
  return static_cast<int64_t>(ValueFor(ranks, module, static_cast<double>(rank)));
}

double LoraConfig::ScaleOf(std::string_view module) const {
  const auto r = static_cast<double>(RankOf(module));
  return ValueFor(alphas, module, alpha) / (rank_stabilized ? std::sqrt(r) : r);
}

bool LoraConfig::IsSaved(std::string_view module) const {
  const std::string dotted = "." + std::string(module) + ".";
  return std::any_of(modules_to_save.begin(), modules_to_save.end(), [&](const std::string& name) {
    return dotted.find("." + name + ".") != std::string::npos;
  });
}

LoraConfig ReadLoraConfig(const std::filesystem::path& adapter) {
  const std::filesystem::path path = adapter / "adapter_config.json";
  const std::string text = ReadFile(path, kMaxConfigBytes);
  const Json file = ParseJson(text, path.string());
  const JsonObject json(file, path.string());
  if (const std::string type = json.String("peft_type"); type != "LORA")
    Throw(Code::kUnimplemented, path.string(), ": peft_type is ", Printable(type, 60),
          ", expected LORA");
  RefuseVariants(json);
  const OrderedJson ordered = ParseOrderedJson(text, path.string());
  constexpr auto kMaxRank = static_cast<double>(LoraConfig::kMaxRank);
  LoraConfig c{.rank = json.IntOr("r", 8, 1, LoraConfig::kMaxRank),
               .alpha = json.NumberOr("lora_alpha", 8, -1e6, 1e6),
               .rank_stabilized = json.BoolOr("use_rslora", false),
               .biases = BiasesOf(json),
               .modules_to_save = NameList(json, "modules_to_save"),
               .ranks = PatternsOf(ordered, "rank_pattern", path.string(), 1, kMaxRank),
               .alphas = PatternsOf(ordered, "alpha_pattern", path.string(), -1e6, 1e6)};
  return c;
}

}  // namespace binocle
