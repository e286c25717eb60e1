#include "service/http/json_scan.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>

#include "binocle/error.h"
#include "service/common/text.h"

namespace binocle::http {
namespace {

constexpr int kMaxDepth = 64;  // values are destroyed recursively
constexpr int64_t kMaxValues =
    100'000;  // a value takes some 50 bytes, so 64 MiB of "[],[],…" would become gigabytes
constexpr int64_t kMaxOutside = 2 << 20;  // the parser may quote all of it, a line end as 8 bytes
constexpr size_t kMaxWord = 1000;         // a number, which the parser quotes when it is too large

[[noreturn]] void FailText(const std::string& rest) {
  throw Error(Code::kInvalidArgument, "the body " + rest);
}
[[noreturn]] void FailJson(size_t at, const char* rest) {
  FailText(Text("is not valid JSON: at byte ", at, " ", rest));
}

constexpr std::array<bool, 256> MakePlain() {
  std::array<bool, 256> plain{};
  for (size_t c = ' '; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}
// What stands for itself in a string and is a whole character.
constexpr std::array<bool, 256> kPlain = MakePlain();

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The number behind "\u" at `at`; none: there are no four digits.
std::optional<uint32_t> CodeUnit(std::string_view text, size_t at) {
  if (text.size() < at + 6 || text.substr(at, 2) != "\\u") return std::nullopt;
  uint32_t unit = 0;
  for (const unsigned char c : text.substr(at + 2, 4)) {
    if (std::isxdigit(c) == 0) return std::nullopt;
    const int digit = std::isdigit(c) != 0 ? c - '0' : std::tolower(c) - 'a' + 10;
    unit = unit << 4 | static_cast<uint32_t>(digit);
  }
  return unit;
}

// The end of the escape at `at`.
size_t EscapeEnd(std::string_view text, size_t at) {
  const char kind = at + 1 < text.size() ? text[at + 1] : '\0';
  if (kind != 'u') {
    if (kind == '\0' || std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos)
      FailJson(at, "is an escape that there is not");
    return at + 2;
  }
  const std::optional<uint32_t> unit = CodeUnit(text, at);
  if (!unit) FailJson(at, "is \\u without four hexadecimal digits");
  if (*unit < 0xD800 || *unit > 0xDFFF) return at + 6;
  const std::optional<uint32_t> low = CodeUnit(text, at + 6);
  if (*unit > 0xDBFF || !low || *low < 0xDC00 || *low > 0xDFFF)
    FailJson(at, "is half of a surrogate pair");
  return at + 12;
}

// The byte behind the string whose first quote is at `begin`.
size_t StringEnd(std::string_view text, size_t begin) {
  size_t at = begin + 1;
  for (;;) {
    while (at < text.size() && kPlain[static_cast<uint8_t>(text[at])]) ++at;
    if (at == text.size()) FailJson(begin, "begins a string without an end");
    const auto c = static_cast<uint8_t>(text[at]);
    if (c == '"') return at + 1;
    if (c == '\\') {
      at = EscapeEnd(text, at);
    } else if (c < ' ') {
      FailJson(at, "is a control character in a string");
    } else if (const size_t length = CharacterLength(text.substr(at)); length > 0) {
      at += length;
    } else {
      FailJson(at, "is no UTF-8");
    }
  }
}

// Which token may come next. Wherever the parser fails it quotes all that it read since the last string or number began.
class Grammar {
 public:
  void Begin(size_t at, bool object) {
    if (!IsValueNext()) FailJson(at, "is a bracket where none is expected");
    if (depth_ == kMaxDepth)
      FailText("is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    objects_[static_cast<size_t>(depth_++)] = object;
    next_ = object ? Next::kNameOrEnd : Next::kValueOrEnd;
  }
  void End(size_t at, bool object) {
    const bool empty = next_ == (object ? Next::kNameOrEnd : Next::kValueOrEnd);
    if (!empty && !(next_ == Next::kComma && InObject() == object))
      FailJson(at, "is a bracket where none is expected");
    --depth_;
    EndValue();
  }
  void Comma(size_t at) {
    if (next_ != Next::kComma) FailJson(at, "is a comma where none is expected");
    next_ = InObject() ? Next::kName : Next::kValue;
  }
  void Colon(size_t at) {
    if (next_ != Next::kColon) FailJson(at, "is a colon where none is expected");
    next_ = Next::kValue;
  }
  void String(size_t at) {
    if (next_ == Next::kName || next_ == Next::kNameOrEnd) {
      next_ = Next::kColon;
    } else if (IsValueNext()) {
      EndValue();
    } else {
      FailJson(at, "is a string where none is expected");
    }
  }
  void Word(size_t at, std::string_view word) {
    const bool number = word.front() == '-' || (word.front() >= '0' && word.front() <= '9');
    if (!IsValueNext() || !(number || word == "true" || word == "false" || word == "null"))
      FailJson(at, "is a word where none is expected");
    if (word.size() > kMaxWord) FailJson(at, "is in a word that is too long to be a number");
    EndValue();
  }
  void Finish(size_t at) const {
    if (next_ != Next::kNothing) FailJson(at, "is the end where none is expected");
  }

 private:
  enum class Next : uint8_t { kValue, kValueOrEnd, kName, kNameOrEnd, kColon, kComma, kNothing };

  bool IsValueNext() const { return next_ == Next::kValue || next_ == Next::kValueOrEnd; }
  bool InObject() const { return objects_[static_cast<size_t>(depth_ - 1)]; }
  void EndValue() { next_ = depth_ == 0 ? Next::kNothing : Next::kComma; }

  Next next_ = Next::kValue;
  int depth_ = 0;
  std::array<bool, kMaxDepth> objects_{};  // whether each open bracket is an object's
};

}  // namespace

JsonShape ScanJson(std::string_view text) {
  // The parser takes it for the end.
  if (text.find('\0') != std::string_view::npos) FailText("is not valid JSON: has a NUL byte");
  JsonShape shape;
  Grammar grammar;
  size_t at =
      text.starts_with("\xEF\xBB\xBF") ? 3 : 0;  // a byte order mark, which the parser skips
  while (at < text.size()) {
    const size_t begin = at;
    const char c = text[at++];
    if (c == '"') {
      grammar.String(begin);
      at = StringEnd(text, begin);
      continue;
    }
    if (c == '{' || c == '[') {
      grammar.Begin(begin, c == '{');
    } else if (c == '}' || c == ']') {
      grammar.End(begin, c == '}');
    } else if (c == ',') {
      grammar.Comma(begin);
    } else if (c == ':') {
      grammar.Colon(begin);
    } else if (!IsBlank(c)) {
      at = std::min(text.find_first_of(" \t\n\r\"{}[],:", begin), text.size());
      grammar.Word(begin, text.substr(begin, at - begin));
    }
    shape.outside += static_cast<int64_t>(at - begin);
    if ((c == '{' || c == '[' || c == ',') && ++shape.values > kMaxValues)
      FailText("has more than " + std::to_string(kMaxValues) + " values, the limit");
  }
  grammar.Finish(at);
  if (shape.outside > kMaxOutside)
    FailText("has more than " + std::to_string(kMaxOutside) +
             " bytes outside of strings, the limit");
  return shape;
}

// The parser keeps the string that it reads twice, one of them in a buffer that grows; then the strings are there once more as what they
// mean. A member of an object is 50 bytes, its name twice, in lists that double.
int64_t ParsingBytes(std::string_view text, const JsonShape& shape) {
  constexpr int64_t kCopies = 3, kPerValue = 256, kPerByteOutside = 32;
  return kCopies * static_cast<int64_t>(text.size()) + kPerValue * shape.values +
         kPerByteOutside * shape.outside;
}

}  // namespace binocle::http
