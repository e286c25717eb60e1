// What sentencepiece's library does not tell, or does not check, about a tokenizer.model.
#pragma once

#include <string>
#include <string_view>

namespace binocle {

struct SentencePieceSpec {
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};

// Reads the normalizer's options and checks its character map, which the library follows without looking where it
// leads. Throws INVALID_ARGUMENT; `name` stands for the file in messages.
SentencePieceSpec ReadSentencePieceSpec(std::string_view model, const std::string& name);

}  // namespace binocle
