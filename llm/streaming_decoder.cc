#include "llm/streaming_decoder.h"

#include "llm/utf8.h"

namespace binocle {

std::string StreamingDecoder::Push(int32_t id) {
  const TokenPiece piece = tokenizer_->Piece(id);
  std::string out;
  switch (piece.kind) {
    case TokenPiece::Kind::kSkipped: break;
    case TokenPiece::Kind::kBytes:
      bytes_ += piece.text;
      TakeCharacters(out);
      break;
    case TokenPiece::Kind::kText:
      ReplaceBytes(out);
      PushText(piece, out);
      break;
  }
  if (!out.empty()) at_start_ = false;
  return out;
}

std::string StreamingDecoder::Finish() {
  std::string out;
  ReplaceBytes(out);
  at_start_ = true;
  return out;
}

void StreamingDecoder::PushText(const TokenPiece& piece, std::string& out) {
  const LeadingSpace rule = tokenizer_->leading_space();
  const bool leading = at_start_ && out.empty() && piece.opens_word && rule != LeadingSpace::kKeep;
  out += leading ? piece.text.substr(1) : piece.text;
  if (leading && rule == LeadingSpace::kDropOne) at_start_ = false;
}

// Moves what is decided from bytes_ to `out`: characters as they are, bytes that can start none as U+FFFD.
void StreamingDecoder::TakeCharacters(std::string& out) {
  size_t done = 0;
  while (done < bytes_.size()) {
    const std::string_view rest = std::string_view(bytes_).substr(done);
    if (IsUnfinishedCharacter(rest)) break;
    const size_t length = Utf8CharacterLength(rest);
    out += length == 0 ? kReplacementCharacter : rest.substr(0, length);
    done += length == 0 ? BrokenLength(rest) : length;
  }
  bytes_.erase(0, done);
}

size_t StreamingDecoder::BrokenLength(std::string_view bytes) const {
  return tokenizer_->broken_bytes() == BrokenBytes::kEach ? 1 : BrokenCharacterLength(bytes);
}

// bytes_ holds what is not decided: nothing, or the beginning of a character that does not go on.
void StreamingDecoder::ReplaceBytes(std::string& out) {
  for (std::string_view rest = bytes_; !rest.empty(); rest.remove_prefix(BrokenLength(rest)))
    out += kReplacementCharacter;
  bytes_.clear();
}

std::string Decode(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  StreamingDecoder decoder(tokenizer);
  std::string text;
  for (const int32_t id : ids) text += decoder.Push(id);
  return text + decoder.Finish();
}

}  // namespace binocle
