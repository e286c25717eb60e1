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

}  // namespace

LlamaConfig ParseLlamaConfig(const JsonObject& json) {
  LlamaConfig c{.width = json.IntOr("hidden_size", 4096, 1, 65536),
                .ff_width = json.IntOr("intermediate_size", 11008, 1, 1 << 20),
                .layers = json.IntOr("num_hidden_layers", 32, 1, 1024),
                .heads = json.IntOr("num_attention_heads", 32, 1, 1024),
                .vocabulary = json.IntOr("vocab_size", 32000, 1, 1 << 24),
                .max_positions = json.IntOr("max_position_embeddings", 2048, 1, 1 << 24),
                .rope = {.theta = RopeTheta(json), .scaling = {}},
                .epsilon = static_cast<float>(json.NumberOr("rms_norm_eps", 1e-6, 0, 1)),
                .tied_head = json.BoolOr("tie_word_embeddings", false),
                .attention_bias = json.BoolOr("attention_bias", false),
                .mlp_bias = json.BoolOr("mlp_bias", false)};
  c.kv_heads = json.IntOr("num_key_value_heads", c.heads, 1, 1024);
  c.head_dim = json.IntOr("head_dim", c.width / c.heads, 1, kMaxHeadDim);
  if (!json.Has("head_dim") && c.width % c.heads != 0) {
    json.Fail("hidden_size",
              "a multiple of num_attention_heads=" + std::to_string(c.heads) + ", or head_dim");
  }
  if (c.heads % c.kv_heads != 0)
    json.Fail("num_key_value_heads", "a divisor of num_attention_heads=" + std::to_string(c.heads));
  if (c.head_dim % 2 != 0) json.Fail("head_dim", "an even number (rotary halves)");
  json.Choice("hidden_act", "silu", {"silu"});
  if (json.Has("rope_scaling")) c.rope.scaling = ParseRopeScaling(json.Object("rope_scaling"));
  if (json.Has("rope_parameters")) c.rope = ParseRopeParameters(json.Object("rope_parameters"));
  return c;
}

}  // namespace binocle
