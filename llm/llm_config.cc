#include "llm/llm_config.h"

#include "attention/kv_pages.h"

namespace binocle {

LlamaConfig ParseLlamaConfig(const JsonObject& json) {
  LlamaConfig c{.width = json.IntOr("hidden_size", 4096, 1, 65536),
                .ff_width = json.IntOr("intermediate_size", 11008, 1, 1 << 20),
                .layers = json.IntOr("num_hidden_layers", 32, 1, 1024),
                .heads = json.IntOr("num_attention_heads", 32, 1, 1024),
                .vocabulary = json.IntOr("vocab_size", 32000, 1, 1 << 24),
                .max_positions = json.IntOr("max_position_embeddings", 2048, 1, 1 << 24),
                .rope_theta = json.NumberOr("rope_theta", 10000, 1, 1e12),
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
  if (json.Has("rope_scaling")) {
    const JsonObject scaling = json.Object("rope_scaling");
    const std::string kind = scaling.StringOr("rope_type", scaling.StringOr("type", "unnamed"));
    if (kind != "default")
      Throw(Code::kUnimplemented, json.where(), ": rope_scaling of kind ", Printable(kind, 40),
            " is not supported yet");
  }
  return c;
}

}  // namespace binocle
