// The tokenizer that a GGUF file carries: tokenizer.ggml.model llama (sentencepiece's pieces and scores) or gpt2 (byte-level BPE, whose
// word pattern tokenizer.ggml.pre names).
#pragma once

#include <memory>
#include <string>

#include "core/gguf_metadata.h"
#include "llm/tokenizer.h"

namespace binocle {

// Throws INVALID_ARGUMENT, and UNIMPLEMENTED for other models and patterns; `where` names the file.
std::unique_ptr<Tokenizer> MakeGgufTokenizer(const GgufMetadata& metadata,
                                             const std::string& where);

}  // namespace binocle
