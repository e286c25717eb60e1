// A model's vocabulary, arranged for constraints: made once per model, shared by all its requests.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "llm/tokenizer.h"

namespace binocle {

class ConstraintVocabulary {
 public:
  // A node of the trie of the texts of all tokens, in the order of a walk that visits parents first.
  struct Node {
    int32_t depth = 0;  // bytes up to and with this one
    int32_t next = 0;   // the first node that is not below this one
    int32_t first = 0;  // the tokens that end here: tokens()[first … first + count)
    int32_t count = 0;
    uint8_t byte = 0;
  };

  // Only ids below `usable` are sampled. `end_tokens` are those that end an answer, whatever text they have. The tokenizer must
  // outlive the vocabulary.
  ConstraintVocabulary(const Tokenizer& tokenizer, int32_t usable,
                       std::span<const int32_t> end_tokens);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  int32_t usable() const { return usable_; }
  std::span<const int32_t> end_tokens() const { return end_tokens_; }
  bool IsEnd(int32_t id) const;
  // Contributes at least one byte to an answer: no end token, nothing special, not empty.
  bool IsText(int32_t id) const {
    return id >= 0 && id < usable_ && is_text_[static_cast<size_t>(id)];
  }

  std::span<const Node> nodes() const { return nodes_; }
  std::span<const int32_t> tokens() const { return tokens_; }
  int32_t longest() const { return longest_; }
  // Some token contributes this byte and nothing else, wherever it may come.
  bool HasByte(uint8_t byte) const { return has_byte_[byte]; }

 private:
  void BuildTrie();

  const Tokenizer* tokenizer_;
  int32_t usable_;
  int32_t longest_ = 0;              // text, in bytes
  std::vector<int32_t> end_tokens_;  // sorted
  std::vector<bool> is_text_;
  std::vector<bool> has_byte_;
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;  // by text
};

}  // namespace binocle
