// Token ids to text, token by token.
//
// Every Push returns the text that is final now: always whole characters, never taken back. The concatenation of all
// results is the same however the ids arrive, and is what Decode returns:
//   - special tokens contribute nothing;
//   - byte tokens (<0xF0>, …) gather until they make a character; bytes that cannot become U+FFFD, as broken_bytes() says;
//   - the space of the token that opens the text is dropped as leading_space() says, so that "▁A ▁cat" reads "A cat".
//
//   StreamingDecoder decoder(tokenizer);
//   for (int32_t id : generated) out << decoder.Push(id);
//   out << decoder.Finish();
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "llm/tokenizer.h"

namespace binocle {

class StreamingDecoder {
 public:
  // The tokenizer must outlive the decoder.
  explicit StreamingDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  // Throws INVALID_ARGUMENT for an id outside the vocabulary, and changes nothing then.
  std::string Push(int32_t id);
  // The rest: bytes of a character that was never finished become U+FFFD. The decoder is then ready for another text.
  std::string Finish();

 private:
  void PushText(const TokenPiece& piece, std::string& out);
  void TakeCharacters(std::string& out);
  void ReplaceBytes(std::string& out);
  size_t BrokenLength(std::string_view bytes) const;

  const Tokenizer* tokenizer_;
  std::string bytes_;     // of an unfinished character, at most 3 between calls
  bool at_start_ = true;  // the next word-opening space is the text's leading one
};

std::string Decode(const Tokenizer& tokenizer, std::span<const int32_t> ids);

}  // namespace binocle
