#include "llm/gguf_config.h"

#include <utility>

#include "attention/kv_pages.h"
#include "core/convert.h"

namespace binocle {
namespace {

// What llama.cpp's converter does to an architecture's rows, whether it has the keys of Granite's multipliers, and what every model of it has.
struct Architecture {
  std::string_view name;
  bool interleaved_qk = false;
  bool scales = false;
  bool qkv_bias = false;
  bool qk_norm = false;
};

constexpr Architecture kArchitectures[] = {
    {.name = "granite", .interleaved_qk = true, .scales = true},
    {.name = "llama", .interleaved_qk = true},
    {.name = "qwen2", .qkv_bias = true},
    {.name = "qwen3", .qk_norm = true}};
constexpr const char* kRopeFactors = "rope_freqs.weight";

const Architecture& ArchitectureOf(const GgufFile& file) {
  const std::string found = file.metadata().String("general.architecture");
  std::string known;
  for (const Architecture& one : kArchitectures) {
    if (one.name == found) return one;
    known += internal::Concat(known.empty() ? "" : ", ", one.name);
  }
  Throw(Code::kUnimplemented, file.path(), ": general.architecture is ", Printable(found, 60),
        ", expected one of ", known);
}

// One for each pair of a head, by which llama.cpp's converter has worked out Llama 3's scaling.
RopeScaling ScalingOf(const GgufFile& file, const std::string& prefix, int64_t head_dim) {
  const GgufMetadata& m = file.metadata();
  // As llama.cpp: linear unless it is said otherwise, by a factor that early files have under another key; 0 and no factor mean 1.
  const std::string kind = m.StringOr(prefix + "rope.scaling.type", "linear");
  if (kind != "none" && kind != "linear") {
    Throw(Code::kUnimplemented, file.path(), ": ", prefix, "rope.scaling.type is ",
          Printable(kind, 40), ", expected none or linear");
  }
  const std::string key = prefix + (m.Has(prefix + "rope.scaling.factor") ? "rope.scaling.factor"
                                                                          : "rope.scale_linear");
  const double said = kind == "linear" ? m.NumberOr(key, 0, 0, 1e6) : 0;
  const double linear = said == 0 ? 1 : said;
  if (linear < 1) m.Fail(key, "0 (none), or 1 to 1000000");
  const auto factors = file.tensors().find(kRopeFactors);
  if (factors == file.tensors().end()) {
    if (linear == 1) return {};
    return LinearRopeScaling{linear};
  }
  const TensorView& view = factors->second;
  if (!IsReal(view.dtype()) || view.shape() != Shape{head_dim / 2}) {
    ThrowInvalid(file.path(), ": ", kRopeFactors, " is ", DTypeName(view.dtype()), " ",
                 view.shape().ToString(), ", expected [", head_dim / 2, "] of f32");
  }
  FactorRopeScaling scaling{std::vector<float>(static_cast<size_t>(head_dim / 2))};
  ReadAsF32(view, 0, head_dim / 2, scaling.factors.data());
  for (float& factor : scaling.factors) {
    if (!(factor >= 1e-3F && factor <= 1e6F))
      ThrowInvalid(file.path(), ": ", kRopeFactors, " has ", factor, ", expected 0.001 to 1e6");
    factor *= static_cast<float>(linear);
  }
  return scaling;
}

// {the file's, ours}: of a block, and of the others.
constexpr std::pair<std::string_view, std::string_view> kBlockNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};

// "blk.3.attn_q.weight": the part between number and ending.
std::string OurName(std::string_view name) {
  const size_t ending = name.rfind('.');
  if (ending == std::string_view::npos) return std::string(name);
  std::string_view stem = name.substr(0, ending);
  const auto renamed = [&](const auto& names, const std::string& front) {
    for (const auto& [theirs, ours] : names)
      if (stem == theirs) return front + std::string(ours) + std::string(name.substr(ending));
    return std::string(name);
  };
  if (!stem.starts_with("blk.")) return renamed(kOtherNames, "");
  stem.remove_prefix(4);
  const std::string number(stem.substr(0, stem.find('.')));
  stem.remove_prefix(std::min(number.size() + 1, stem.size()));
  return renamed(kBlockNames, "model.layers." + number + ".");
}

// The converter writes no key for a multiplier that config.json is silent about; without attention.scale llama.cpp takes 1/√d.
void ReadScales(const GgufFile& file, const std::string& prefix, LlamaConfig& c) {
  const GgufMetadata& m = file.metadata();
  if (!m.BoolOr(prefix + "rope.scaling.finetuned", true)) {
    Throw(Code::kUnimplemented, file.path(), ": ", prefix,
          "rope.scaling.finetuned is false, expected true: a model that rotates nothing");
  }
  const auto number = [&](const char* key) {
    return static_cast<float>(m.NumberOr(prefix + key, 1, 1e-6, 1e6));
  };
  c.embedding_multiplier = number("embedding_scale");
  if (m.Has(prefix + "attention.scale")) c.attention_multiplier = number("attention.scale");
  c.residual_multiplier = number("residual_scale");
  c.logits_scaling = number("logit_scale");
}

}  // namespace

LlamaConfig ReadGgufTextConfig(const GgufFile& file) {
  const GgufMetadata& m = file.metadata();
  const Architecture& architecture = ArchitectureOf(file);
  const std::string prefix = std::string(architecture.name) + ".";
  const auto has = [&](const char* tensor) { return file.tensors().contains(tensor); };
  if (m.IntOr(prefix + "expert_count", 0, 0, 1 << 20) > 0)
    Throw(Code::kUnimplemented, file.path(), ": ", prefix, "expert_count: mixtures of experts");
  const auto embeddings = file.tensors().find("token_embd.weight");
  if (embeddings == file.tensors().end() || embeddings->second.rank() != 2)
    ThrowInvalid(file.path(), ": has no matrix token_embd.weight");
  LlamaConfig c{
      .model_type = std::string(architecture.name),
      .width = m.Int(prefix + "embedding_length", 1, 65536),
      .ff_width = m.Int(prefix + "feed_forward_length", 1, 1 << 20),
      .layers = m.Int(prefix + "block_count", 1, 1024),
      .heads = m.Int(prefix + "attention.head_count", 1, 1024),
      .vocabulary = embeddings->second.dim(0),
      .max_positions = m.Int(prefix + "context_length", 1, 1 << 24),
      .rope = {.theta = m.NumberOr(prefix + "rope.freq_base", 10000, 1, 1e12)},
      .epsilon = static_cast<float>(m.Number(prefix + "attention.layer_norm_rms_epsilon", 0, 1)),
      .tied_head = !has("output.weight"),
      .qkv_bias = architecture.qkv_bias || has("blk.0.attn_q.bias"),
      .out_bias = has("blk.0.attn_output.bias"),
      .mlp_bias = has("blk.0.ffn_up.bias"),
      .interleaved_qk = architecture.interleaved_qk,
      .qk_norm = architecture.qk_norm || has("blk.0.attn_q_norm.weight")};
  c.kv_heads = m.IntOr(prefix + "attention.head_count_kv", c.heads, 1, 1024);
  if (c.heads % c.kv_heads != 0)
    m.Fail(prefix + "attention.head_count_kv", "a divisor of " + std::to_string(c.heads));
  c.head_dim = m.IntOr(prefix + "attention.key_length", c.width / c.heads, 1, kMaxHeadDim);
  if (m.IntOr(prefix + "attention.value_length", c.head_dim, 1, 65536) != c.head_dim)
    m.Fail(prefix + "attention.value_length", "that of keys, " + std::to_string(c.head_dim));
  if (m.IntOr(prefix + "rope.dimension_count", c.head_dim, 1, 65536) != c.head_dim ||
      c.head_dim % 2 != 0)
    m.Fail(prefix + "rope.dimension_count", "an even number, " + std::to_string(c.head_dim));
  c.rope.scaling = ScalingOf(file, prefix, c.head_dim);
  if (architecture.scales) ReadScales(file, prefix, c);
  return c;
}

std::string GgufTextName(std::string_view ours) {
  constexpr std::string_view kBlocks = "model.layers.";
  const size_t ending = ours.rfind('.');
  if (ending == std::string_view::npos) return std::string(ours);
  std::string_view stem = ours.substr(0, ending);
  const auto renamed = [&](const auto& names, const std::string& front) {
    for (const auto& [theirs, mine] : names)
      if (stem == mine) return front + std::string(theirs) + std::string(ours.substr(ending));
    return std::string(ours);
  };
  if (!stem.starts_with(kBlocks)) return renamed(kOtherNames, "");
  stem.remove_prefix(kBlocks.size());
  const std::string number(stem.substr(0, stem.find('.')));
  stem.remove_prefix(std::min(number.size() + 1, stem.size()));
  return renamed(kBlockNames, "blk." + number + ".");
}

void AddGgufTextTensors(const std::shared_ptr<const GgufFile>& file, const std::string& prefix,
                        TensorSet& set) {
  for (const auto& [name, view] : file->tensors()) {
    if (name != kRopeFactors) set.Add(prefix + OurName(name), view, file, file->path());
  }
}

}  // namespace binocle
