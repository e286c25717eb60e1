#include "eval/mmmu_open.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace binocle::eval {
namespace {

constexpr TextView kBeforeAnswers[] = {U"could be ",  U"so ",    U"is ",     U"thus ",
                                       U"therefore ", U"final ", U"answer ", U"result "};
constexpr TextView kTrivial = U":,.!?;'";

bool IsDigitAt(TextView text, size_t at) { return at < text.size() && Digit(text[at]).has_value(); }

size_t DigitsFrom(TextView text, size_t at) {
  size_t end = at;
  while (IsDigitAt(text, end)) ++end;
  return end - at;
}

// \b in front of text[at].
bool IsWordEdge(TextView text, size_t at) {
  const bool before = at > 0 && IsWord(text[at - 1]);
  const bool after = at < text.size() && IsWord(text[at]);
  return before != after;
}

// The functions below say where a match that begins at `at` ends; `at` itself: there is none.

// -?\b\d{1,3}(?:,\d{3})+\b
size_t WithCommas(TextView text, size_t at) {
  const size_t begin = at;
  if (text[at] == U'-') ++at;
  if (!IsWordEdge(text, at)) return begin;
  for (size_t lead = std::min<size_t>(3, DigitsFrom(text, at)); lead >= 1; --lead) {
    // Groups are taken one by one; the match may end after any of them, as late as possible.
    size_t end = at + lead;
    size_t match = begin;
    while (end < text.size() && text[end] == U',' && DigitsFrom(text, end + 1) >= 3) {
      end += 4;
      if (IsWordEdge(text, end)) match = end;
    }
    if (match != begin) return match;
  }
  return begin;
}

// [eE][+-]?\d+
size_t Exponent(TextView text, size_t at) {
  if (at >= text.size() || (text[at] != U'e' && text[at] != U'E')) return at;
  size_t end = at + 1;
  if (end < text.size() && (text[end] == U'+' || text[end] == U'-')) ++end;
  const size_t digits = DigitsFrom(text, end);
  return digits == 0 ? at : end + digits;
}

// -?\d+(?:\.\d+)?[eE][+-]?\d+
size_t Scientific(TextView text, size_t at) {
  const size_t begin = at;
  if (text[at] == U'-') ++at;
  size_t end = at + DigitsFrom(text, at);
  if (end == at) return begin;
  if (end < text.size() && text[end] == U'.') {
    const size_t fraction = DigitsFrom(text, end + 1);
    if (fraction > 0) end += 1 + fraction;
  }
  const size_t after = Exponent(text, end);
  return after == end ? begin : after;
}

// (?![eE][+-]?\d+)(?![,\d])
bool MayEndPlain(TextView text, size_t at) {
  if (Exponent(text, at) != at) return false;
  return at >= text.size() || (text[at] != U',' && !Digit(text[at]));
}

// -?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])
size_t Plain(TextView text, size_t at) {
  const size_t begin = at;
  if (text[at] == U'-') ++at;
  const size_t whole = DigitsFrom(text, at);
  const size_t point = at + whole;
  if (point < text.size() && text[point] == U'.') {  // also with nothing in front
    const size_t end = point + 1 + DigitsFrom(text, point + 1);
    if (end > point + 1 && MayEndPlain(text, end)) return end;
  }
  // \b holds only after the last digit.
  return whole > 0 && IsWordEdge(text, point) && MayEndPlain(text, point) ? point : begin;
}

template <typename Match>
void FindAll(TextView text, const Match& match, std::vector<Text>& out) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = match(text, at);
    if (end != at) out.emplace_back(text.substr(at, end - at));
    at = end == at ? at + 1 : end;
  }
}

double RoundToCents(double value) {
  if (!std::isfinite(value)) return value;
  char digits[400];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, 2);
  double rounded = value;
  if (error == std::errc()) std::from_chars(digits, end, rounded);
  return rounded;
}

// What stands behind the last `marker`, blanks aside.
TextView Behind(TextView line, TextView marker) {
  return Strip(line.substr(line.rfind(marker) + marker.size()));
}

// The shortest text behind a marker; empty for none. A text that is empty gives way to the next one.
TextView Shortest(TextView line, bool last_line) {
  TextView shortest;
  const auto take = [&](TextView marker) {
    if (!Contains(line, marker)) return;
    const TextView behind = Behind(line, marker);
    if (shortest.empty() || behind.size() < shortest.size()) shortest = behind;
  };
  for (const TextView marker : kBeforeAnswers) take(marker);
  if (last_line) take(U"=");
  return shortest;
}

std::vector<Text> KeyTexts(TextView answer) {
  const Text whole = Lower(StripOf(Strip(answer), U'.'));
  const std::vector<Text> lines = SplitOn(whole, U'\n');
  std::vector<Text> keys;
  for (size_t i = 0; i < lines.size(); ++i) {
    const TextView key = Shortest(lines[i], i + 1 == lines.size());
    const bool trivial = key.empty() || (key.size() == 1 && Contains(kTrivial, key));
    if (!trivial) keys.emplace_back(key);
  }
  if (keys.empty()) keys.push_back(whole);
  return keys;
}

bool IsMatch(const MmmuValue& said, const std::vector<MmmuValue>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const MmmuValue& value) {
    if (said.index() != value.index()) return false;
    if (const auto* number = std::get_if<double>(&said)) return *number == std::get<double>(value);
    return Contains(std::get<Text>(said), std::get<Text>(value));
  });
}

}  // namespace

std::vector<MmmuValue> NormalizeMmmu(TextView text) {
  const TextView stripped = Strip(text);
  if (const auto number = ParseFloat(ReplaceAll(stripped, U",", U"")))
    return {RoundToCents(*number)};
  const Text lower = Lower(stripped);
  if (lower.size() == 1) return {U" " + lower, lower + U" "};
  return {lower};
}

std::vector<Text> MmmuNumbers(TextView text) {
  std::vector<Text> numbers;
  FindAll(text, WithCommas, numbers);
  FindAll(text, Scientific, numbers);
  FindAll(text, Plain, numbers);
  return numbers;
}

std::vector<MmmuValue> ParseMmmuOpen(TextView answer) {
  std::vector<Text> texts = KeyTexts(answer);
  const size_t keys = texts.size();
  for (size_t i = 0; i < keys; ++i) {
    const std::vector<Text> numbers = MmmuNumbers(texts[i]);
    texts.insert(texts.end(), numbers.begin(), numbers.end());
  }
  std::vector<MmmuValue> said;
  for (const Text& text : texts) {
    for (MmmuValue& value : NormalizeMmmu(text)) {
      if (std::find(said.begin(), said.end(), value) == said.end())
        said.push_back(std::move(value));
    }
  }
  return said;
}

bool IsMmmuOpenMatch(const std::vector<MmmuValue>& said, const std::vector<Text>& references) {
  std::vector<MmmuValue> wanted;
  for (const Text& reference : references) {
    for (MmmuValue& value : NormalizeMmmu(reference)) wanted.push_back(std::move(value));
  }
  return std::any_of(said.begin(), said.end(),
                     [&](const MmmuValue& value) { return IsMatch(value, wanted); });
}

}  // namespace binocle::eval
