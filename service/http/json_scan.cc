#include "service/http/json_scan.h"

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
constexpr int64_t kMaxWord = 1000;        // a number, which the parser quotes when it is too large

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

}  // namespace

JsonShape ScanJson(std::string_view text) {
  // The parser takes it for the end.
  if (text.find('\0') != std::string_view::npos) FailText("is not valid JSON: has a NUL byte");
  JsonShape shape;
  int depth = 0;
  int64_t word = 0;   // bytes since the last mark or blank
  char before = '[';  // the last byte that is no blank: at the start anything may come
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      // Elsewhere the parser would read all of the string to say that it did not expect it.
      if (std::string_view("[{,:").find(before) == std::string_view::npos)
        FailJson(at, "is a string where none is expected");
      at = StringEnd(text, at) - 1;
      word = 0;
    } else {
      ++shape.outside;
      const bool mark = c == '{' || c == '[' || c == '}' || c == ']' || c == ',' || c == ':';
      word = mark || IsBlank(c) ? 0 : word + 1;
      if (word > kMaxWord) FailJson(at, "is in a word that is too long to be a number");
    }
    if (!IsBlank(c)) before = c;
    if (c == '{' || c == '[') {
      if (++depth > kMaxDepth)
        FailText("is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    } else if (c == '}' || c == ']') {
      --depth;
    }
    if ((c == '{' || c == '[' || c == ',') && ++shape.values > kMaxValues)
      FailText("has more than " + std::to_string(kMaxValues) + " values, the limit");
  }
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
