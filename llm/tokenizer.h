// Text to token ids and back.
//
// A tokenizer is immutable once loaded and may be used from several threads. Encoding is one call; decoding goes
// through StreamingDecoder (llm/streaming_decoder.h), for a whole answer as for a stream, so that both give the same
// text.
//
//   const auto tokenizer = LoadTokenizer("models/binocle-tiny");
//   std::vector<int32_t> ids = tokenizer->Encode("<image><|user|> what is it?<|assistant|>", AddSpecial::kYes);
//   std::string text = Decode(*tokenizer, ids);
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace binocle {

// Texts longer than this are refused: the longest context of any model holds less, and the work of encoding stays
// bounded.
inline constexpr size_t kMaxTextBytes = size_t{1} << 20;

// Whether Encode adds what the model's configuration adds to every text: <s> in front, </s> at the end.
enum class AddSpecial : uint8_t { kNo, kYes };

// What one token contributes to a text.
struct TokenPiece {
  enum class Kind : uint8_t {
    kText,     // whole characters
    kBytes,    // bytes that make characters only together with the kBytes pieces next to them
    kSkipped,  // nothing: special and control tokens
  };
  Kind kind = Kind::kSkipped;
  std::string_view text = {};  // lives as long as the tokenizer
  bool opens_word =
      false;  // the text begins with a space that stands for the vocabulary's mark of a word's beginning
};

// What becomes of bytes that make no character: U+FFFD for each of them, or for each unfinished character as a whole and each byte that
// could not begin one.
enum class BrokenBytes : uint8_t { kEach, kTogether };

// What becomes of the spaces of pieces that open a word at the very start of a text.
enum class LeadingSpace : uint8_t { kKeep, kDropOne, kDropAll };

// RESOURCE_EXHAUSTED above kMaxTextBytes.
void CheckTextBytes(std::string_view text);

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text`, which may hold NUL bytes. Bytes that are no UTF-8 count as U+FFFD each. Special and added tokens
  // written in the text are recognised. Throws RESOURCE_EXHAUSTED above kMaxTextBytes.
  virtual std::vector<int32_t> Encode(std::string_view text, AddSpecial add) const = 0;

  // Throws INVALID_ARGUMENT unless 0 ≤ id < vocabulary_size(). An id that no token has contributes nothing.
  virtual TokenPiece Piece(int32_t id) const = 0;
  virtual LeadingSpace leading_space() const = 0;
  virtual BrokenBytes broken_bytes() const = 0;

  // The token as it is written in the vocabulary ("▁cat", "<0x0A>"), for people; empty for an id that no token has.
  virtual std::string_view Spelling(int32_t id) const = 0;
  // The id of a token by its spelling, −1 when there is none.
  virtual int32_t IdOf(std::string_view spelling) const = 0;

  // One more than the largest id. A model's embedding table may be longer; ids from here on must not be sampled.
  virtual int32_t vocabulary_size() const = 0;
  // Left out of decoded text.
  virtual bool IsSpecial(int32_t id) const = 0;
  // −1 where the model has none.
  virtual int32_t bos_id() const = 0;
  virtual int32_t eos_id() const = 0;
  virtual int32_t unk_id() const = 0;
  virtual int32_t pad_id() const = 0;
};

// From tokenizer.model (tokenizer_sentencepiece.h) or, where there is none, tokenizer.json (tokenizer_json.h) of a model directory. Throws
// what these throw; NOT_FOUND where neither is there.
std::unique_ptr<Tokenizer> LoadTokenizer(const std::filesystem::path& directory);
// Whether one of them is there.
bool HasTokenizer(const std::filesystem::path& directory);

}  // namespace binocle
