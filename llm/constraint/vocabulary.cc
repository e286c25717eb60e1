#include "llm/constraint/vocabulary.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"

namespace binocle {

ConstraintVocabulary::ConstraintVocabulary(const Tokenizer& tokenizer, int32_t usable,
                                           std::span<const int32_t> end_tokens)
    : tokenizer_(&tokenizer),
      usable_(usable),
      is_text_(static_cast<size_t>(usable)),
      has_byte_(256) {
  for (const int32_t id : end_tokens) {
    if (id >= 0 && id < usable_) end_tokens_.push_back(id);
  }
  std::sort(end_tokens_.begin(), end_tokens_.end());
  end_tokens_.erase(std::unique(end_tokens_.begin(), end_tokens_.end()), end_tokens_.end());
  for (int32_t id = 0; id < std::min(usable_, tokenizer.vocabulary_size()); ++id) {
    const TokenPiece piece = tokenizer.Piece(id);
    if (piece.kind == TokenPiece::Kind::kSkipped || piece.text.empty() || IsEnd(id)) continue;
    is_text_[static_cast<size_t>(id)] = true;
    tokens_.push_back(id);
    longest_ = std::max(longest_, static_cast<int32_t>(piece.text.size()));
    if (piece.text.size() == 1) has_byte_[static_cast<uint8_t>(piece.text[0])] = true;
  }
  BuildTrie();
}

bool ConstraintVocabulary::IsEnd(int32_t id) const {
  return std::binary_search(end_tokens_.begin(), end_tokens_.end(), id);
}

// Of sorted texts, each shares with the one before it the nodes that are still open.
void ConstraintVocabulary::BuildTrie() {
  const auto text = [this](int32_t id) { return tokenizer_->Piece(id).text; };
  std::sort(tokens_.begin(), tokens_.end(), [&](int32_t a, int32_t b) {
    const int order = text(a).compare(text(b));
    return order != 0 ? order < 0 : a < b;
  });
  std::vector<size_t> open;  // the nodes of the text before, by depth
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back())
      nodes_[open.back()].next = static_cast<int32_t>(nodes_.size());
  };
  std::string_view before;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string_view next = text(tokens_[i]);
    const auto differ =
        std::mismatch(before.begin(), before.end(), next.begin(), next.end()).second;
    close(static_cast<size_t>(differ - next.begin()));
    while (open.size() < next.size()) {
      const auto byte = static_cast<uint8_t>(next[open.size()]);
      open.push_back(nodes_.size());
      nodes_.push_back({.depth = static_cast<int32_t>(open.size()),
                        .first = static_cast<int32_t>(i),
                        .byte = byte});
    }
    ++nodes_[open.back()].count;
    before = next;
  }
  close(0);
}

}  // namespace binocle
