// The byte-level BPE tokenizer of GPT-2, Qwen, Llama 3, SmolLM2 and others.
//
// A text is cut at added tokens; what lies between is normalised, cut into words, and each word is encoded by itself
// (bpe/word_splitter.h, bpe/bpe_model.h). Whole texts give the ids of tokenizers 0.22. Where it is told from: tokenizer_json.h, and GGUF's
// metadata.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "llm/bpe/word_splitter.h"
#include "llm/tokenizer.h"
#include "llm/tokenizer_config.h"

namespace binocle {

struct BpeSpec {
  static constexpr size_t kMaxTokens = size_t{1} << 21;

  std::vector<std::string>
      spellings;  // by id, in the alphabet of bpe/byte_alphabet.h; empty: no token of the vocabulary
  std::vector<std::pair<int32_t, int32_t>> merges;  // by rank
  bool whole_words = false;  // a word that is a token needs no merges ("ignore_merges")
  bool nfc = false;
  bool prefix_space = false;  // in front of each stretch that begins with none
  std::vector<SplitStep> splits;
  std::map<int32_t, AddedToken> added;  // by id
  std::vector<int32_t> front, back;     // what AddSpecial::kYes adds
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;
};

// Throws INVALID_ARGUMENT; `where` names the file.
std::unique_ptr<Tokenizer> MakeBpeTokenizer(BpeSpec spec, const std::string& where);

}  // namespace binocle
