// The tokenizer files of a Hugging Face directory that lie beside tokenizer.model.
//
//   tokenizer_config.json                            flags, names of the special tokens, added_tokens_decoder
//   special_tokens_map.json, added_tokens.json,
//   added_tokens of tokenizer.json                   only where added_tokens_decoder is absent, as in transformers
//
// Every file may be missing. Defaults are LlamaTokenizer's. Reference: transformers 4.57.6
// LlamaTokenizer.from_pretrained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace binocle {

// A token that is found in the text before sentencepiece sees the rest.
struct AddedToken {
  std::string content;
  bool special = false;      // left out of decoded text
  bool lstrip = false;       // takes the white space to its left along
  bool rstrip = false;       // and to its right
  bool single_word = false;  // only between spaces
  // Looked for in the normalised text, behind those that are looked for in the text as it is. Of tokenizer.json alone.
  bool normalized = false;
};

struct TokenizerConfig {
  static constexpr int32_t kMaxId = (1 << 22) - 1;

  bool legacy =
      true;  // each stretch of text between added tokens is a text of its own, with its own leading space
  bool add_bos = true;
  bool add_eos = false;
  bool add_prefix_space = true;
  std::map<int32_t, AddedToken> added = {};  // by id

  // Contents; absent when the file says null.
  std::optional<std::string> bos = {};
  std::optional<std::string> eos = {};
  std::optional<std::string> unk = {};
  std::optional<std::string> pad = {};
  // All tokens that have a role, the four above included, in transformers' order. Those that are in no vocabulary are
  // appended to it in this order.
  std::vector<AddedToken> roles = {};
};

// Throws INVALID_ARGUMENT (file, key, found, expected), and UNIMPLEMENTED for another tokenizer class than
// LlamaTokenizer's.
TokenizerConfig ReadTokenizerConfig(const std::filesystem::path& directory);

// What a tokenizer.json leaves to its neighbours. Reference: transformers 4.57.6 PreTrainedTokenizerFast.
struct FastTokenizerConfig {
  std::map<int32_t, AddedToken> added = {};                           // by id
  std::optional<std::string> bos = {}, eos = {}, unk = {}, pad = {};  // contents
  // What a bare ByteLevel pre-tokenizer goes by, whatever tokenizer.json says.
  bool add_prefix_space = false;
  // Of the classes LlamaTokenizer and LlamaTokenizerFast alone, which put their own post-processor in the place of the file's: whether BOS stands before a
  // text, and EOS behind it.
  struct Ends {
    bool bos = true, eos = false;
  };
  std::optional<Ends> llama_ends = {};
};

// added_tokens of tokenizer.json, over which those of tokenizer_config.json are laid; tokens with a role are special. Throws
// INVALID_ARGUMENT.
FastTokenizerConfig ReadFastTokenizerConfig(const std::filesystem::path& directory);

}  // namespace binocle
