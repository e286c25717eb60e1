#include "llm/llm_config.h"

#include "attention/kv_pages.h"

namespace binocle {
namespace {

RopeScaling ParseRopeScaling(const JsonObject& json) {
  const std::string kind = json.StringOr("rope_type", json.StringOr("type", "unnamed"));
  // The dynamic kind changes frequencies only beyond max_position_embeddings, where no context goes.
  if (kind == "default" || kind == "dynamic") return {};
  if (kind == "linear") return LinearRopeScaling{.factor = json.Number("factor", 1, 1e6)};
  if (kind == "llama3") {
    const Llama3RopeScaling scaling{
        .factor = json.Number("factor", 1, 1e6),
        .low_freq_factor = json.Number("low_freq_factor", 1e-6, 1e6),
        .high_freq_factor = json.Number("high_freq_factor", 1e-6, 1e6),
        .original_positions = json.Number("original_max_position_embeddings", 1, 1 << 24)};
    if (scaling.high_freq_factor <= scaling.low_freq_factor)
      json.Fail("high_freq_factor", "more than low_freq_factor");
    return scaling;
  }
  Throw(Code::kUnimplemented, json.where(), ": rope_type is ", Printable(kind, 40),
        ", expected one of default, linear, dynamic, llama3");
}

double RopeTheta(const JsonObject& json) { return json.NumberOr("rope_theta", 10000, 1, 1e12); }

// transformers 5 keeps base and scaling together under this name.
RopeConfig ParseRopeParameters(const JsonObject& json) {
  return {.theta = RopeTheta(json), .scaling = ParseRopeScaling(json)};
}

// What a family's configuration class of transformers has where the file says nothing, and what cannot be said in a file.
struct TextFamily {
  std::string_view model_type;
  int64_t ff_width;
  int64_t vocabulary;
  int64_t max_positions;
  int64_t kv_heads;          // 0: as many as heads
  int64_t head_dim;          // 0: hidden_size / heads
  bool biases_named = true;  // attention_bias; otherwise q, k and v have them and o has not
  bool qk_norm = false;
  enum class Windows : uint8_t { kNone, kAll, kUpper } windows = Windows::kNone;
  bool multipliers = false;
};
using Windows = TextFamily::Windows;

constexpr TextFamily kTextFamilies[] = {
    {"granite", 11008, 32000, 2048, 0, 0, true, false, Windows::kNone, true},
    {"llama", 11008, 32000, 2048, 0, 0},
    {"mistral", 14336, 32000, 131072, 8, 0, true, false, Windows::kAll},
    {"qwen2", 22016, 151936, 32768, 32, 0, false, false, Windows::kUpper},
    {"qwen3", 22016, 151936, 32768, 32, 128, true, true, Windows::kUpper},
};

const TextFamily& FamilyOf(const JsonObject& json) {
  const std::string type = json.StringOr("model_type", "llama");
  for (const TextFamily& family : kTextFamilies)
    if (family.model_type == type) return family;
  Throw(Code::kUnimplemented, json.where(), ": model_type is ", Printable(type, 60),
        ", expected one of ", TextModelTypes());
}

// The layers that `layer_types` calls sliding_attention; where it is absent, from which layer on they are.
std::vector<bool> SlidingLayers(const JsonObject& json, int64_t layers, int64_t first) {
  std::vector<bool> sliding(static_cast<size_t>(layers));
  if (!json.Has("layer_types")) {
    for (int64_t l = first; l < layers; ++l) sliding[static_cast<size_t>(l)] = true;
    return sliding;
  }
  const Json& types = json.json()["layer_types"];
  if (!types.is_array() || std::ssize(types) != layers)
    json.Fail("layer_types", "a list of num_hidden_layers=" + std::to_string(layers) + " names");
  for (size_t l = 0; l < types.size(); ++l) {
    if (types[l] != "sliding_attention" && types[l] != "full_attention")
      json.Fail("layer_types", "sliding_attention or full_attention for each layer");
    sliding[l] = types[l] == "sliding_attention";
  }
  return sliding;
}

// Mistral: in all layers, unless sliding_window is null. Qwen: where use_sliding_window says so, from max_window_layers on.
std::vector<int64_t> WindowsOf(const JsonObject& json, const TextFamily& family,
                               const LlamaConfig& c) {
  if (family.windows == Windows::kNone) return {};
  const bool upper = family.windows == Windows::kUpper;
  const bool off = json.json().contains("sliding_window") && !json.Has("sliding_window");  // null
  if (off || (upper && !json.BoolOr("use_sliding_window", false))) return {};
  const int64_t window = json.IntOr("sliding_window", 4096, 1, 1 << 24);
  if (window >= c.max_positions) return {};
  const int64_t first = upper ? json.IntOr("max_window_layers", 28, 0, 1024) : 0;
  std::vector<int64_t> windows;
  for (const bool slides : SlidingLayers(json, c.layers, first))
    windows.push_back(slides ? window : 0);
  return windows;
}

// Each is 1 where the file says nothing, that of attention too.
void ReadMultipliers(const JsonObject& json, const TextFamily& family, LlamaConfig& c) {
  if (!family.multipliers) return;
  const auto number = [&](const char* key) {
    return static_cast<float>(json.NumberOr(key, 1, 1e-6, 1e6));
  };
  c.embedding_multiplier = number("embedding_multiplier");
  c.attention_multiplier = number("attention_multiplier");
  c.residual_multiplier = number("residual_multiplier");
  c.logits_scaling = number("logits_scaling");
}

}  // namespace

std::string TextModelTypes() {
  std::string names;
  for (const TextFamily& family : kTextFamilies)
    names += internal::Concat(names.empty() ? "" : ", ", family.model_type);
  return names;
}

LlamaConfig ParseTextConfig(const JsonObject& json) {
  const TextFamily& family = FamilyOf(json);
  LlamaConfig c{
      .model_type = std::string(family.model_type),
      .width = json.IntOr("hidden_size", 4096, 1, 65536),
      .ff_width = json.IntOr("intermediate_size", family.ff_width, 1, 1 << 20),
      .layers = json.IntOr("num_hidden_layers", 32, 1, 1024),
      .heads = json.IntOr("num_attention_heads", 32, 1, 1024),
      .vocabulary = json.IntOr("vocab_size", family.vocabulary, 1, 1 << 24),
      .max_positions = json.IntOr("max_position_embeddings", family.max_positions, 1, 1 << 24),
      .rope = {.theta = RopeTheta(json), .scaling = {}},
      .epsilon = static_cast<float>(json.NumberOr("rms_norm_eps", 1e-6, 0, 1)),
      .tied_head = json.BoolOr("tie_word_embeddings", false),
      .qkv_bias = !family.biases_named || json.BoolOr("attention_bias", false),
      .out_bias = family.biases_named && json.BoolOr("attention_bias", false),
      .mlp_bias = json.BoolOr("mlp_bias", false),
      .qk_norm = family.qk_norm};
  // null is not absent: as many as query heads, whatever the family's default.
  const auto kv_heads = json.json().find("num_key_value_heads");
  const bool all = family.kv_heads == 0 || (kv_heads != json.json().end() && kv_heads->is_null());
  c.kv_heads = json.IntOr("num_key_value_heads", all ? c.heads : family.kv_heads, 1, 1024);
  const int64_t usual_dim = family.head_dim == 0 ? c.width / c.heads : family.head_dim;
  c.head_dim = json.IntOr("head_dim", usual_dim, 1, kMaxHeadDim);
  if (!json.Has("head_dim") && family.head_dim == 0 && c.width % c.heads != 0) {
    json.Fail("hidden_size",
              "a multiple of num_attention_heads=" + std::to_string(c.heads) + ", or head_dim");
  }
  if (c.heads % c.kv_heads != 0)
    json.Fail("num_key_value_heads", "a divisor of num_attention_heads=" + std::to_string(c.heads));
  if (c.head_dim % 2 != 0) json.Fail("head_dim", "an even number (rotary halves)");
  json.Choice("hidden_act", "silu", {"silu"});
  if (json.Has("rope_scaling")) c.rope.scaling = ParseRopeScaling(json.Object("rope_scaling"));
  if (json.Has("rope_parameters")) c.rope = ParseRopeParameters(json.Object("rope_parameters"));
  c.windows = WindowsOf(json, family, c);
  ReadMultipliers(json, family, c);
  return c;
}

}  // namespace binocle
