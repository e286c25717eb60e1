#include "eval/text.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "eval/unicode_tables.h"

namespace binocle::eval {
namespace {

// The last row that begins at or before `c`, or null.
template <typename Row>
const Row* RowOf(std::span<const Row> rows, char32_t c) {
  const auto after = std::upper_bound(rows.begin(), rows.end(), c,
                                      [](char32_t x, const Row& row) { return x < row.first; });
  return after == rows.begin() ? nullptr : &*(after - 1);
}

bool IsIn(std::span<const CharacterRange> ranges, char32_t c) {
  const CharacterRange* range = RowOf(ranges, c);
  return range != nullptr && c <= range->last;
}

void AppendLower(char32_t c, Text& out) {
  if (c < 0x80) {
    out += c >= U'A' && c <= U'Z' ? c + 32 : c;
    return;
  }
  if (c == 0x130) {  // the only character whose lower case is two: i and a dot above
    out += U"i\u0307";
    return;
  }
  const LowerRun* run = RowOf(kLower, c);
  const bool has_lower = run != nullptr && c <= run->last && (c - run->first) % run->step == 0;
  out += has_lower ? static_cast<char32_t>(static_cast<int32_t>(c) + run->delta) : c;
}

bool IsAsciiDigit(char c) { return c >= '0' && c <= '9'; }

// The digits of text[at …] with their underscores dropped; false where an underscore is not between digits.
bool TakeDigits(std::string_view text, size_t& at, std::string& out) {
  while (at < text.size() && (IsAsciiDigit(text[at]) || text[at] == '_')) {
    if (text[at] == '_') {
      const bool between = at > 0 && IsAsciiDigit(text[at - 1]) && at + 1 < text.size() &&
                           IsAsciiDigit(text[at + 1]);
      if (!between) return false;
    } else {
      out += text[at];
    }
    ++at;
  }
  return true;
}

// Whether a decimal number that no double holds is too large rather than too small. It has a digit other than 0.
bool IsHuge(std::string_view number) {
  const size_t e = number.find('e');
  const std::string_view mantissa = number.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  const bool negative = e != std::string_view::npos && number[e + 1] == '-';
  const size_t digits = e == std::string_view::npos ? 0 : number.size() - e;
  // An exponent of many digits decides alone; otherwise the place of the first digit counts as well.
  if (digits > 15) return !negative;
  int64_t exponent = 0;
  if (e != std::string_view::npos) {
    const size_t begin = e + 1 + (number[e + 1] == '+' || negative ? 1 : 0);
    std::from_chars(number.data() + begin, number.data() + number.size(), exponent);
  }
  const int64_t place = first < point ? static_cast<int64_t>(point - first) - 1
                                      : -static_cast<int64_t>(first - point);
  return place + (negative ? -exponent : exponent) > 0;
}

std::optional<double> Special(std::string_view word) {
  if (word == "inf" || word == "infinity") return std::numeric_limits<double>::infinity();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

// A number without sign, blanks and capitals.
std::optional<double> Magnitude(std::string_view text) {
  if (const auto special = Special(text)) return special;
  std::string number;
  size_t at = 0;
  if (!TakeDigits(text, at, number)) return std::nullopt;
  size_t digits = number.size();
  if (digits == 0) number = "0";
  if (at < text.size() && text[at] == '.') {
    ++at;
    std::string fraction;
    if (!TakeDigits(text, at, fraction)) return std::nullopt;
    digits += fraction.size();
    number += "." + (fraction.empty() ? "0" : fraction);
  }
  if (digits == 0) return std::nullopt;
  if (at < text.size() && text[at] == 'e') {
    number += 'e';
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) number += text[at++];
    const size_t before = number.size();
    if (!TakeDigits(text, at, number) || number.size() == before) return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error == std::errc::result_out_of_range)
    return IsHuge(number) ? std::numeric_limits<double>::infinity() : 0.0;
  return error == std::errc() ? std::optional<double>(value) : std::nullopt;
}

bool HasAsciiSeparator(TextView text) {
  return std::any_of(text.begin(), text.end(), [](char32_t c) { return c >= 0x1C && c <= 0x1F; });
}

}  // namespace

Text FromUtf8(std::string_view utf8) {
  Text text;
  text.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const int more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    char32_t c = more == 0 ? lead : lead & (0x3F >> more);
    for (int k = 1; k <= more && i + static_cast<size_t>(k) < utf8.size(); ++k)
      c = c << 6 | (static_cast<unsigned char>(utf8[i + static_cast<size_t>(k)]) & 0x3F);
    text += c;
    i += static_cast<size_t>(more) + 1;
  }
  return text;
}

std::string ToUtf8(TextView text) {
  std::string utf8;
  utf8.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x80) {
      utf8 += static_cast<char>(c);
    } else {
      constexpr char32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
      const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
      utf8 += static_cast<char>(kLead[more] | (c >> 6 * more));
      for (int k = more - 1; k >= 0; --k) utf8 += static_cast<char>(0x80 | (c >> 6 * k & 0x3F));
    }
  }
  return utf8;
}

bool IsSpace(char32_t c) { return IsIn(kSpaces, c); }

bool IsWord(char32_t c) { return IsIn(kWordCharacters, c); }

std::optional<int> Digit(char32_t c) {
  const auto after = std::upper_bound(kDigitZeros.begin(), kDigitZeros.end(), c);
  if (after == kDigitZeros.begin() || c - *(after - 1) > 9) return std::nullopt;
  return static_cast<int>(c - *(after - 1));
}

Text Lower(TextView text) {
  Text lower;
  lower.reserve(text.size());
  for (const char32_t c : text) AppendLower(c, lower);
  return lower;
}

size_t UpperLength(TextView text) {
  size_t length = text.size();
  for (const char32_t c : text) {
    const LongUpper* upper = RowOf(kLongUppers, c);
    if (upper != nullptr && upper->first == c) length += upper->length - 1;
  }
  return length;
}

TextView Strip(TextView text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

TextView StripOf(TextView text, char32_t c) {
  while (!text.empty() && text.front() == c) text.remove_prefix(1);
  while (!text.empty() && text.back() == c) text.remove_suffix(1);
  return text;
}

std::vector<Text> SplitWords(TextView text) {
  std::vector<Text> words;
  for (size_t i = 0; i < text.size();) {
    if (IsSpace(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && !IsSpace(text[end])) ++end;
    words.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return words;
}

std::vector<Text> SplitOn(TextView text, char32_t separator) {
  std::vector<Text> parts;
  size_t begin = 0;
  for (size_t at = text.find(separator); at != TextView::npos; at = text.find(separator, begin)) {
    parts.emplace_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

Text JoinWords(const std::vector<Text>& words) {
  Text text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += U' ';
    text += words[i];
  }
  return text;
}

Text ReplaceAll(TextView text, TextView from, TextView to) {
  Text out;
  size_t begin = 0;
  for (size_t at = text.find(from); at != TextView::npos; at = text.find(from, begin)) {
    out += text.substr(begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  out += text.substr(begin);
  return out;
}

bool Contains(TextView text, TextView part) { return text.find(part) != TextView::npos; }

std::optional<double> ParseFloat(TextView text) {
  // ASCII's separators, 0x1C to 0x1F, are blanks for str.strip() and none for float().
  const TextView stripped = Strip(text);
  if (HasAsciiSeparator(text)) return std::nullopt;
  std::string plain;
  for (const char32_t c : stripped) {
    if (const auto digit = Digit(c)) {
      plain += static_cast<char>('0' + *digit);
    } else if (c < 0x80) {
      plain += static_cast<char>(c >= U'A' && c <= U'Z' ? c + 32 : c);
    } else {
      return std::nullopt;
    }
  }
  std::string_view rest = plain;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  const auto magnitude = Magnitude(rest);
  if (!magnitude) return std::nullopt;
  return negative ? -*magnitude : *magnitude;
}

}  // namespace binocle::eval
