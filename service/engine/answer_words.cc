#include "service/engine/answer_words.h"

#include <algorithm>
#include <string_view>

#include "llm/streaming_decoder.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

// A part of the decoded text and the tokens that made it.
struct Emission {
  std::string text;
  int64_t first_token, end_token;
};

std::vector<Emission> Emissions(const std::vector<int32_t>& ids, const Tokenizer& tokenizer) {
  StreamingDecoder decoder(tokenizer);
  std::vector<Emission> out;
  int64_t held = -1;  // the first token whose bytes are still waiting
  for (int64_t i = 0; i < std::ssize(ids); ++i) {
    const int32_t id = ids[static_cast<size_t>(i)];
    std::string text = decoder.Push(id);
    const bool bytes = tokenizer.Piece(id).kind == TokenPiece::Kind::kBytes;
    if (held < 0 && bytes) held = i;
    if (text.empty()) continue;
    out.push_back({std::move(text), held < 0 ? i : held, i + 1});
    held = -1;
  }
  if (std::string rest = decoder.Finish(); !rest.empty())
    out.push_back({std::move(rest), std::max<int64_t>(held, 0), std::ssize(ids)});
  return out;
}

char32_t CodePoint(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  char32_t point = byte(0) & (0x7FU >> character.size());
  for (size_t i = 1; i < character.size(); ++i) point = point << 6 | (byte(i) & 0x3FU);
  return point;
}

bool Within(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

bool StandsAlone(char32_t c) {
  return Within(c, 0x3041, 0x30FF) || Within(c, 0x3400, 0x4DBF) || Within(c, 0x4E00, 0x9FFF) ||
         Within(c, 0xF900, 0xFAFF) || Within(c, 0x20000, 0x3FFFF);
}

bool IsPunctuation(char32_t c) {
  constexpr std::string_view kAscii = ".,;:!?\"'()[]{}";
  if (c < 0x80) return kAscii.find(static_cast<char>(c)) != std::string_view::npos;
  return c == 0xA1 || c == 0xAB || c == 0xBB || c == 0xBF || Within(c, 0x2018, 0x201F) ||
         c == 0x2026 || Within(c, 0x3001, 0x3003) || Within(c, 0x3008, 0x3011) || c == 0xFF01 ||
         c == 0xFF08 || c == 0xFF09 || c == 0xFF0C || c == 0xFF0E || c == 0xFF1A || c == 0xFF1B ||
         c == 0xFF1F;
}

enum class Kind : uint8_t { kSpace, kPunctuation, kAlone, kOther };

Kind KindOf(std::string_view character) {
  if (TrimFront(character).empty()) return Kind::kSpace;
  const char32_t c = CodePoint(character);
  if (IsPunctuation(c)) return Kind::kPunctuation;
  return StandsAlone(c) ? Kind::kAlone : Kind::kOther;
}

// Byte ranges of the words. Punctuation inside a word is part of it.
std::vector<AnswerWord> WordsOf(std::string_view text) {
  std::vector<AnswerWord> words;
  bool open = false;  // the last word may go on
  for (size_t at = 0; at < text.size();) {
    const size_t length = std::max<size_t>(Utf8CharacterLength(text.substr(at)), 1);
    const Kind kind = KindOf(text.substr(at, length));
    const auto begin = static_cast<int64_t>(at), end = static_cast<int64_t>(at + length);
    at += length;
    if (kind == Kind::kPunctuation) continue;
    if (kind == Kind::kOther && open) words.back().end = end;
    if (kind == Kind::kAlone || (kind == Kind::kOther && !open))
      words.push_back({.begin = begin, .end = end});
    open = kind == Kind::kOther;
  }
  return words;
}

}  // namespace

AnswerParts TakeApart(const Answer& answer, const Tokenizer& tokenizer, PromptFormat format) {
  AnswerParts parts{.token_texts = std::vector<std::string>(answer.token_ids.size()),
                    .words = WordsOf(answer.text)};
  const std::vector<Emission> emissions = Emissions(answer.token_ids, tokenizer);
  // The template's space, as in answer_builder.cc. What a stop string has cut off lies beyond the answer's end.
  int64_t at = 0;
  if (!emissions.empty() && emissions[0].text.front() == ' ' && format == PromptFormat::kChat)
    at = -1;
  for (const Emission& e : emissions) {
    const int64_t begin = std::max<int64_t>(at, 0);
    const int64_t end = std::min(at + std::ssize(e.text), std::ssize(answer.text));
    at += std::ssize(e.text);
    if (begin >= end) continue;
    parts.token_texts[static_cast<size_t>(e.end_token - 1)] +=
        answer.text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    for (AnswerWord& word : parts.words) {
      if (word.begin >= end || begin >= word.end) continue;
      if (word.end_token == 0) word.first_token = e.first_token;
      word.end_token = e.end_token;
    }
  }
  return parts;
}

}  // namespace binocle
