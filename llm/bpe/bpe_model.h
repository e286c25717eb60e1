// Byte pair encoding of one word: its bytes become tokens, and the pair of neighbours whose merge has the lowest rank is joined, the
// left one of equals first, until no pair of them has a merge. Reference: tokenizers 0.22, models/bpe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace binocle {

class BpeModel {
 public:
  // tokens: the bytes of each id; an empty one is no token. merges: two ids each, by rank; what they make is the id whose bytes are those
  // of both, which must be there: INVALID_ARGUMENT, `where` names the file.
  // whole_words: a word that is a token is that token, whatever the merges say.
  BpeModel(const std::vector<std::string>& tokens,
           const std::vector<std::pair<int32_t, int32_t>>& merges, bool whole_words,
           const std::string& where);

  // Appends the ids of `word`. A byte that is no token is left out.
  void Encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    int32_t rank;
    int32_t made;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  std::array<int32_t, 256> byte_ids_;
  std::unordered_map<uint64_t, Merge> merges_;
  std::unordered_map<std::string, int32_t> words_;  // with whole_words alone
};

}  // namespace binocle
