// tokenizer.model, read with the sentencepiece library, and the files beside it.
//
// Ids equal those of transformers 4.57.6's slow LlamaTokenizer.from_pretrained(directory):
//   - the text is split at added and special tokens (<s>, </s>, <image>, …), longest first;
//     sentencepiece encodes the rest;
//   - legacy: true   each stretch is encoded as a text of its own, so that "▁" comes in front of it;
//   - legacy: false  "▁" comes in front of the whole text only, and not before a special token.
// One exception: a model that is trained without that "▁" (add_dummy_prefix: false in tokenizer.model) never gets it.
// Such a text has exactly the ids of sentencepiece's own encode, between the special tokens.
//
// Decoding leaves out control tokens, the tokens that have a role (bos_token, …, additional_special_tokens) and those
// whose entry says special: true. The one space is dropped that encoding would put in front (all leading ones for
// models with remove_extra_whitespaces); none where add_prefix_space: false keeps it away. Against transformers' slow
// decode(skip_special_tokens=True): it drops two with legacy: true where there are two, it writes tokens that are
// special in added_tokens_decoder only, and it puts a space on both sides of added tokens that are not special.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "llm/tokenizer.h"
#include "llm/tokenizer_config.h"

namespace binocle {

// Throws NOT_FOUND where tokenizer.model is missing and INVALID_ARGUMENT where it, or a file beside it, is damaged.
std::unique_ptr<Tokenizer> LoadSentencePieceTokenizer(const std::filesystem::path& directory);

// The same from memory. `name` stands for the file in messages.
std::unique_ptr<Tokenizer> MakeSentencePieceTokenizer(std::string_view model,
                                                      TokenizerConfig config,
                                                      const std::string& name);

}  // namespace binocle
