#include "fusion/random/random_gguf.h"

#include "fusion/random/tokenizer_files.h"

namespace binocle {
namespace {

// llama.cpp's number for what most tensors are.
uint32_t FileKind(DType matrices) {
  switch (matrices) {
    case DType::kF32: return 0;
    case DType::kF16: return 1;
    case DType::kQ40: return 2;
    case DType::kQ80: return 7;
    default: return 32;  // bf16
  }
}

}  // namespace

GgufEntries GgufEntriesOf(const ModelPreset& preset, const LlamaConfig& text, DType matrices) {
  const std::string type = preset.config["model_type"].get<std::string>();
  const std::string architecture = type == "mistral" ? "llama" : type;
  const std::string prefix = architecture + ".";
  const auto number = [](int64_t value) { return static_cast<uint32_t>(value); };
  GgufEntries e;
  e.String("general.architecture", architecture);
  e.String("general.name", preset.name);
  e.U32("general.file_type", FileKind(matrices));
  e.U32("general.quantization_version", 2);
  e.U32(prefix + "context_length", number(text.max_positions));
  e.U32(prefix + "embedding_length", number(text.width));
  e.U32(prefix + "block_count", number(text.layers));
  e.U32(prefix + "feed_forward_length", number(text.ff_width));
  e.U32(prefix + "attention.head_count", number(text.heads));
  e.U32(prefix + "attention.head_count_kv", number(text.kv_heads));
  e.U32(prefix + "attention.key_length", number(text.head_dim));
  e.U32(prefix + "attention.value_length", number(text.head_dim));
  e.F32(prefix + "attention.layer_norm_rms_epsilon", text.epsilon);
  e.F32(prefix + "rope.freq_base", static_cast<float>(text.rope.theta));
  e.U32(prefix + "rope.dimension_count", number(text.head_dim));
  e.U32(prefix + "vocab_size", number(text.vocabulary));
  AddTokenizer(preset.special, text.vocabulary, e);
  return e;
}

}  // namespace binocle
