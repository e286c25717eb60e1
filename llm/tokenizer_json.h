// tokenizer.json of a Hugging Face directory: a byte-level BPE vocabulary with its merges, normaliser, patterns, added tokens and what is
// put around a text. Kinds of any of these that we do not run are refused by name: UNIMPLEMENTED. tokenizer_config.json beside it names
// the tokens with a role and may add tokens.
#pragma once

#include <filesystem>
#include <memory>

#include "llm/tokenizer.h"

namespace binocle {

// Throws NOT_FOUND, INVALID_ARGUMENT (file, key, found, expected) or UNIMPLEMENTED.
std::unique_ptr<Tokenizer> LoadJsonTokenizer(const std::filesystem::path& directory);

}  // namespace binocle
