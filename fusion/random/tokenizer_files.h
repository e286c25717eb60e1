// A byte-level vocabulary of a given size without a text to learn from: the 256 bytes, the special tokens, and words " w300" that nothing
// merges to, for the ids that are left.
#pragma once

#include <filesystem>

#include "core/gguf_writer.h"
#include "fusion/random/presets.h"

namespace binocle {

// tokenizer.json, tokenizer_config.json and generation_config.json.
void WriteTokenizerFiles(const std::filesystem::path& directory, const SpecialTokens& special,
                         int64_t vocabulary);
// The same vocabulary as a GGUF file has it.
void AddTokenizer(const SpecialTokens& special, int64_t vocabulary, GgufEntries& entries);

}  // namespace binocle
