#include "eval/readers/python_list.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "eval/text.h"

namespace binocle::eval {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f";

// The character of an escape that is one letter; 0: there is none of that letter.
char SimpleEscape(char c) {
  switch (c) {
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case '\\':
    case '\'':
    case '"': return c;
    default: return '\0';
  }
}

// How many hexadecimal digits follow the letter; 0: it begins no number.
size_t HexDigits(char c) { return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0; }

std::optional<uint32_t> DigitIn(char c, uint32_t base) {
  const char lower = static_cast<char>(c | 0x20);
  const uint32_t value = c >= '0' && c <= '9'           ? static_cast<uint32_t>(c - '0')
                         : lower >= 'a' && lower <= 'f' ? static_cast<uint32_t>(lower - 'a' + 10)
                                                        : base;
  return value < base ? std::optional(value) : std::nullopt;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::optional<std::vector<std::string>> List() {
    std::vector<std::string> items;
    if (!Skip('[')) return std::nullopt;
    while (!Skip(']')) {
      auto item = Quoted();
      if (!item) return std::nullopt;
      items.push_back(*std::move(item));
      if (!Skip(',') && !IsNext(']')) return std::nullopt;
    }
    SkipBlanks();
    return rest_.empty() ? std::optional(std::move(items)) : std::nullopt;
  }

 private:
  void SkipBlanks() {
    while (!rest_.empty() && kBlanks.find(rest_[0]) != std::string_view::npos)
      rest_.remove_prefix(1);
  }
  bool IsNext(char c) {
    SkipBlanks();
    return rest_.starts_with(c);
  }
  bool Skip(char c) {
    const bool is_next = IsNext(c);
    if (is_next) rest_.remove_prefix(1);
    return is_next;
  }

  std::optional<std::string> Quoted() {
    SkipBlanks();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
    const char quote = rest_[0];
    std::string text;
    for (rest_.remove_prefix(1); !rest_.empty() && rest_[0] != quote;) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c != '\\') {
        text += c;
      } else if (!Escape(text)) {
        return std::nullopt;
      }
    }
    if (rest_.empty()) return std::nullopt;
    rest_.remove_prefix(1);
    return text;
  }

  // What follows a backslash, at the end of `text`.
  bool Escape(std::string& text) {
    if (rest_.empty() || rest_[0] == 'N') return false;
    const char c = rest_[0];
    if (DigitIn(c, 8)) return Number(8, 3, text);
    rest_.remove_prefix(1);
    if (c == '\n') return true;  // a line that goes on
    if (const size_t digits = HexDigits(c); digits > 0) {
      const size_t before = rest_.size();
      return Number(16, digits, text) && before - rest_.size() == digits;
    }
    if (const char simple = SimpleEscape(c)) {
      text += simple;
    } else {
      (text += '\\') += c;  // as Python leaves what it does not know
    }
    return true;
  }

  bool Number(uint32_t base, size_t most_digits, std::string& text) {
    uint32_t code = 0;
    for (size_t i = 0; i < most_digits && !rest_.empty(); ++i) {
      const auto digit = DigitIn(rest_[0], base);
      if (!digit) break;
      code = code * base + *digit;
      rest_.remove_prefix(1);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    text += ToUtf8(Text(1, static_cast<char32_t>(code)));
    return true;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::vector<std::string>> PythonList(std::string_view text) {
  return Reader(text).List();
}

}  // namespace binocle::eval
