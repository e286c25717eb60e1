#include "llm/tokenizer_bpe.h"

#include <algorithm>
#include <unordered_map>

#include "core/error.h"
#include "llm/bpe/bpe_model.h"
#include "llm/bpe/byte_alphabet.h"
#include "llm/bpe/nfc.h"
#include "llm/tokenizer_added_tokens.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

// What a token of the vocabulary stands for. Some are written with characters outside the alphabet: no text contains them, but an added
// token may have their place.
std::vector<std::string> BytesOf(const std::vector<std::string>& spellings) {
  std::vector<std::string> bytes;
  for (const std::string& spelling : spellings)
    bytes.push_back(BytesOfSpelling(spelling).value_or(std::string()));
  return bytes;
}

std::string Normalized(const BpeSpec& spec, const std::string& text) {
  return spec.nfc ? ToNfc(text) : text;
}

enum class Looked : uint8_t { kInText, kInNormalizedText };

// Of the added tokens those that are looked for there, spelled as they are there.
std::map<int32_t, AddedToken> Added(const BpeSpec& spec, Looked where) {
  std::map<int32_t, AddedToken> tokens;
  for (auto [id, token] : spec.added) {
    if (token.normalized != (where == Looked::kInNormalizedText)) continue;
    if (token.normalized) token.content = Normalized(spec, token.content);
    tokens[id] = token;
  }
  return tokens;
}

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(BpeSpec spec, const std::string& where)
      : spec_(std::move(spec)),
        bytes_(BytesOf(spec_.spellings)),
        model_(bytes_, spec_.merges, spec_.whole_words, where),
        words_(spec_.splits),
        as_they_are_(Added(spec_, Looked::kInText), WhiteSpace::kUnicode),
        normalized_(Added(spec_, Looked::kInNormalizedText), WhiteSpace::kUnicode) {
    for (size_t id = 0; id < spec_.spellings.size(); ++id) {
      if (!spec_.spellings[id].empty()) ids_[spec_.spellings[id]] = static_cast<int32_t>(id);
    }
    for (const auto& [id, token] : spec_.added) ids_[token.content] = id;
    FillPieces();
  }

  std::vector<int32_t> Encode(std::string_view text, AddSpecial add) const override;
  TokenPiece Piece(int32_t id) const override {
    return {.kind = kinds_[Index(id)], .text = bytes_[Index(id)]};
  }
  LeadingSpace leading_space() const override { return LeadingSpace::kKeep; }
  BrokenBytes broken_bytes() const override { return BrokenBytes::kTogether; }
  std::string_view Spelling(int32_t id) const override { return spec_.spellings[Index(id)]; }
  int32_t IdOf(std::string_view spelling) const override;
  int32_t vocabulary_size() const override { return static_cast<int32_t>(kinds_.size()); }
  bool IsSpecial(int32_t id) const override {
    const auto added = spec_.added.find(id);
    return added != spec_.added.end() && added->second.special;
  }
  int32_t bos_id() const override { return spec_.bos; }
  int32_t eos_id() const override { return spec_.eos; }
  int32_t unk_id() const override { return spec_.unk; }
  int32_t pad_id() const override { return spec_.pad; }

 private:
  void FillPieces();
  size_t Index(int32_t id) const;

  BpeSpec spec_;
  std::vector<std::string> bytes_;  // by id
  std::vector<TokenPiece::Kind> kinds_;
  BpeModel model_;
  WordSplitter words_;
  AddedTokenSplitter as_they_are_, normalized_;
  std::unordered_map<std::string, int32_t> ids_;  // of spellings
};

// An added token is its text; special ones contribute none.
void BpeTokenizer::FillPieces() {
  const int32_t last = spec_.added.empty() ? -1 : spec_.added.rbegin()->first;
  const size_t size = std::max(bytes_.size(), static_cast<size_t>(last + 1));
  bytes_.resize(size);
  spec_.spellings.resize(size);
  for (const auto& [id, token] : spec_.added) {
    bytes_[static_cast<size_t>(id)] = token.content;
    spec_.spellings[static_cast<size_t>(id)] = token.content;
  }
  for (size_t id = 0; id < size; ++id) {
    const bool skipped = bytes_[id].empty() || IsSpecial(static_cast<int32_t>(id));
    kinds_.push_back(skipped              ? TokenPiece::Kind::kSkipped
                     : IsUtf8(bytes_[id]) ? TokenPiece::Kind::kText
                                          : TokenPiece::Kind::kBytes);
  }
}

size_t BpeTokenizer::Index(int32_t id) const {
  if (id < 0 || id >= vocabulary_size()) {
    ThrowInvalid("token id ", id, " is outside the vocabulary, expected 0 to ",
                 vocabulary_size() - 1);
  }
  return static_cast<size_t>(id);
}

int32_t BpeTokenizer::IdOf(std::string_view spelling) const {
  const auto found = ids_.find(std::string(spelling));
  return found == ids_.end() ? -1 : found->second;
}

std::vector<int32_t> BpeTokenizer::Encode(std::string_view text, AddSpecial add) const {
  CheckTextBytes(text);
  std::vector<int32_t> ids;
  if (add == AddSpecial::kYes) ids = spec_.front;
  const auto encode_words = [&](std::string stretch) {
    if (spec_.prefix_space && !stretch.starts_with(' ')) stretch.insert(0, " ");
    words_.Split(stretch, [&](std::string_view word) { model_.Encode(word, ids); });
  };
  // As the tokenizers library: tokens in the text, then tokens in what is normalised between them, then words.
  for (const TextSegment& segment : as_they_are_.Split(ReplaceInvalidUtf8(text))) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    for (TextSegment& inner : normalized_.Split(Normalized(spec_, segment.text))) {
      if (inner.id >= 0) {
        ids.push_back(inner.id);
      } else {
        encode_words(std::move(inner.text));
      }
    }
  }
  if (add == AddSpecial::kYes) ids.insert(ids.end(), spec_.back.begin(), spec_.back.end());
  return ids;
}

}  // namespace

std::unique_ptr<Tokenizer> MakeBpeTokenizer(BpeSpec spec, const std::string& where) {
  return std::make_unique<BpeTokenizer>(std::move(spec), where);
}

}  // namespace binocle
