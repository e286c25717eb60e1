#include "llm/tokenizer_sentencepiece.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "llm/sentencepiece/processor.h"
#include "llm/tokenizer_added_tokens.h"
#include "llm/tokenizer_sentencepiece_file.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

constexpr size_t kMaxModelBytes = size_t{64} << 20;
constexpr std::string_view kWordMark = "\u2581";  // "▁"

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at = 0; (at = text.find(from)) != std::string_view::npos;
       text.remove_prefix(at + from.size())) {
    out += text.substr(0, at);
    out += to;
  }
  return out += text;
}

// One token of the vocabulary, ready for decoding.
struct Entry {
  std::string spelling = {};
  std::string text = {};
  TokenPiece::Kind kind = TokenPiece::Kind::kSkipped;
  bool opens_word = false;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string_view model, TokenizerConfig config, const std::string& name);

  std::vector<int32_t> Encode(std::string_view text, AddSpecial add) const override;
  TokenPiece Piece(int32_t id) const override;
  LeadingSpace leading_space() const override { return leading_space_; }
  BrokenBytes broken_bytes() const override { return BrokenBytes::kEach; }
  std::string_view Spelling(int32_t id) const override { return At(id).spelling; }
  int32_t IdOf(std::string_view spelling) const override;
  int32_t vocabulary_size() const override { return static_cast<int32_t>(entries_.size()); }
  bool IsSpecial(int32_t id) const override { return special_.contains(id); }
  int32_t bos_id() const override { return bos_; }
  int32_t eos_id() const override { return eos_; }
  int32_t unk_id() const override { return unk_; }
  int32_t pad_id() const override { return pad_; }

 private:
  void LoadProcessor(std::string_view model, const std::string& name);
  void AddRoles();
  void FillEntries(const std::string& name);
  Entry PieceEntry(int id, const std::string& name) const;
  const Entry& At(int32_t id) const;

  void EncodeStretch(const std::string& text, std::vector<int32_t>& ids) const;
  std::vector<int32_t> EncodeText(std::string text) const;

  SentencePieceProcessor processor_;
  SentencePieceSpec spec_;
  TokenizerConfig config_;
  AddedTokenSplitter splitter_{{}};
  std::vector<Entry> entries_;
  std::unordered_set<int32_t> roles_;    // transformers' all_special_ids
  std::unordered_set<int32_t> special_;  // and those that added_tokens_decoder calls special
  std::string
      unk_text_;  // put in front of a stretch so that its own spaces survive; see EncodeStretch
  size_t unk_pieces_ = 0;  // how many pieces that makes
  LeadingSpace leading_space_ = LeadingSpace::kDropOne;
  int32_t bos_ = -1;
  int32_t eos_ = -1;
  int32_t unk_ = -1;
  int32_t pad_ = -1;
};

SentencePieceTokenizer::SentencePieceTokenizer(std::string_view model, TokenizerConfig config,
                                               const std::string& name)
    : spec_(ReadSentencePieceSpec(model, name)), config_(std::move(config)) {
  LoadProcessor(model, name);
  // A model that knows no "▁" in front of a text gets none: its stretches are encoded as they are, which is what legacy
  // does.
  if (!spec_.add_dummy_prefix) config_.legacy = true;
  AddRoles();
  splitter_ = AddedTokenSplitter(config_.added);
  FillEntries(name);
  const auto id_of = [&](const std::optional<std::string>& content) {
    return content ? splitter_.Find(*content) : -1;
  };
  bos_ = id_of(config_.bos);
  eos_ = id_of(config_.eos);
  unk_ = id_of(config_.unk);
  pad_ = id_of(config_.pad);
  unk_text_ = config_.unk.value_or("");
  unk_pieces_ = processor_.Encode(unk_text_).size();
  const bool prefixed = config_.add_prefix_space || (config_.legacy && spec_.add_dummy_prefix);
  if (!prefixed) leading_space_ = LeadingSpace::kKeep;
  if (spec_.remove_extra_whitespaces) leading_space_ = LeadingSpace::kDropAll;
}

void SentencePieceTokenizer::LoadProcessor(std::string_view model, const std::string& name) {
  std::string bytes(model);
  // Messages that are appended are merged: normalizer_spec {add_dummy_prefix: false}. transformers does the same.
  if (!config_.legacy) bytes.append("\x1A\x02\x18\x00", 4);
  processor_ = SentencePieceProcessor(bytes, name);
  const int pieces = processor_.size();
  if (pieces < 1 || pieces > TokenizerConfig::kMaxId) {
    ThrowInvalid(name, ": has ", pieces, " pieces, expected 1 to ", TokenizerConfig::kMaxId);
  }
}

// Every token with a role is an added token: at its place in the vocabulary or, where it has none, behind it.
void SentencePieceTokenizer::AddRoles() {
  std::unordered_set<std::string> contents;
  for (const auto& [id, token] : config_.added) contents.insert(token.content);
  std::unordered_map<std::string, int32_t> pieces;
  for (int id = 0; id < processor_.size(); ++id) pieces.emplace(processor_.Piece(id), id);
  // transformers counts names, so that a hole in the ids makes new tokens start lower.
  const auto fresh = [&](const std::string& content) { return !pieces.contains(content); };
  auto next = static_cast<int32_t>(
      pieces.size() + static_cast<size_t>(std::count_if(contents.begin(), contents.end(), fresh)));
  for (const AddedToken& role : config_.roles) {
    int32_t id = -1;
    if (contents.contains(role.content)) {
      for (const auto& [added, token] : config_.added)
        id = token.content == role.content ? added : id;
    } else {
      const auto piece = pieces.find(role.content);
      id = piece != pieces.end() ? piece->second : next++;
      config_.added[id] = role;
    }
    roles_.insert(id);
  }
  special_ = roles_;
  for (const auto& [id, token] : config_.added) {
    if (token.special) special_.insert(id);
  }
}

void SentencePieceTokenizer::FillEntries(const std::string& name) {
  const int32_t last = config_.added.empty() ? -1 : config_.added.rbegin()->first;
  entries_.resize(static_cast<size_t>(std::max(processor_.size(), last + 1)));
  for (int id = 0; id < processor_.size(); ++id)
    entries_[static_cast<size_t>(id)] = PieceEntry(id, name);
  for (const auto& [id, token] : config_.added) {
    const auto kind = special_.contains(id) ? TokenPiece::Kind::kSkipped : TokenPiece::Kind::kText;
    entries_[static_cast<size_t>(id)] = {
        .spelling = token.content, .text = token.content, .kind = kind};
  }
}

Entry SentencePieceTokenizer::PieceEntry(int id, const std::string& name) const {
  const std::string piece = processor_.Piece(id);
  if (!IsUtf8(piece))
    ThrowInvalid(name, ": piece ", id, " is not UTF-8: '", Printable(piece, 60), "'");
  const auto kind = processor_.KindOf(id);
  using Kind = SentencePieceProcessor::Kind;
  if (kind == Kind::kControl || kind == Kind::kUnknown) return {.spelling = piece};
  if (kind == Kind::kByte) {  // "<0x0A>": the library has checked the form
    const auto byte = static_cast<char>(std::strtol(piece.c_str() + 1, nullptr, 16));
    return {.spelling = piece, .text = std::string(1, byte), .kind = TokenPiece::Kind::kBytes};
  }
  return {.spelling = piece,
          .text = ReplaceAll(piece, kWordMark, " "),
          .kind = TokenPiece::Kind::kText,
          .opens_word = piece.starts_with(kWordMark)};
}

const Entry& SentencePieceTokenizer::At(int32_t id) const {
  if (id < 0 || id >= vocabulary_size()) {
    ThrowInvalid("token id ", id, " is outside the vocabulary, expected 0 to ",
                 vocabulary_size() - 1);
  }
  return entries_[static_cast<size_t>(id)];
}

TokenPiece SentencePieceTokenizer::Piece(int32_t id) const {
  const Entry& entry = At(id);
  return {.kind = entry.kind, .text = entry.text, .opens_word = entry.opens_word};
}

int32_t SentencePieceTokenizer::IdOf(std::string_view spelling) const {
  if (const int32_t added = splitter_.Find(std::string(spelling)); added >= 0) return added;
  const int id = processor_.IdOf(spelling);
  return processor_.Piece(id) == spelling ? id : -1;
}

// Without legacy the model has no dummy prefix, and its normalizer eats spaces at the front of a text. transformers
// keeps them by putting the unknown token's spelling in front and cutting its pieces off again.
void SentencePieceTokenizer::EncodeStretch(const std::string& text,
                                           std::vector<int32_t>& ids) const {
  const bool guard = !config_.legacy && (text.starts_with(kWordMark) || text.starts_with(' '));
  const std::vector<std::string> pieces = processor_.Encode(guard ? unk_text_ + text : text);
  const size_t skip = guard && pieces.size() >= unk_pieces_ ? unk_pieces_ : 0;
  for (size_t i = skip; i < pieces.size(); ++i) {
    const int32_t added = splitter_.Find(pieces[i]);
    ids.push_back(added >= 0 ? added : processor_.IdOf(pieces[i]));
  }
}

std::vector<int32_t> SentencePieceTokenizer::EncodeText(std::string text) const {
  const bool prefix = !config_.legacy && !text.empty();
  if (prefix) text = ReplaceAll(text, kWordMark, " ");
  if (prefix && config_.add_prefix_space) text.insert(0, kWordMark);
  std::vector<int32_t> ids;
  for (const TextSegment& segment : splitter_.Split(text)) {
    // The "▁" of the whole text goes when a token with a role follows at once.
    if (prefix && roles_.contains(segment.id) && ids.size() == 1 && Spelling(ids[0]) == kWordMark)
      ids.clear();
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      EncodeStretch(segment.text, ids);
    }
  }
  return ids;
}

std::vector<int32_t> SentencePieceTokenizer::Encode(std::string_view text, AddSpecial add) const {
  CheckTextBytes(text);
  std::vector<int32_t> ids = EncodeText(ReplaceInvalidUtf8(text));
  if (add == AddSpecial::kYes && config_.add_bos && bos_ >= 0) ids.insert(ids.begin(), bos_);
  if (add == AddSpecial::kYes && config_.add_eos && eos_ >= 0) ids.push_back(eos_);
  return ids;
}

}  // namespace

std::unique_ptr<Tokenizer> MakeSentencePieceTokenizer(std::string_view model,
                                                      TokenizerConfig config,
                                                      const std::string& name) {
  return std::make_unique<SentencePieceTokenizer>(model, std::move(config), name);
}

std::unique_ptr<Tokenizer> LoadSentencePieceTokenizer(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "tokenizer.model";
  return MakeSentencePieceTokenizer(ReadFile(path, kMaxModelBytes), ReadTokenizerConfig(directory),
                                    path.string());
}

}  // namespace binocle
