// The decoder that a GGUF file holds, from its metadata and the names of its tensors.
#pragma once

#include <string>

#include "core/gguf.h"
#include "core/weights.h"
#include "llm/llama_config.h"

namespace binocle {

// general.architecture granite, llama (which Mistral's files say too), qwen2 or qwen3. Others, mixtures of experts and kinds of RoPE scaling other
// than none and linear are refused by name: UNIMPLEMENTED. INVALID_ARGUMENT for what is missing or out of range.
LlamaConfig ReadGgufTextConfig(const GgufFile& file);

// The tensors under the names that BindLlama asks for ("blk.0.attn_q.weight" is "model.layers.0.self_attn.q_proj.weight"), behind
// `prefix`; others keep theirs. Views keep the file's names, for messages.
void AddGgufTextTensors(const std::shared_ptr<const GgufFile>& file, const std::string& prefix,
                        TensorSet& set);

// The file's name of a tensor that AddGgufTextTensors calls `ours`, without the prefix: "blk.3.attn_q.weight". What it does not rename
// comes back as it is.
std::string GgufTextName(std::string_view ours);

}  // namespace binocle
