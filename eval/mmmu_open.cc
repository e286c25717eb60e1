#include "eval/mmmu_open.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

namespace binocle::eval {
namespace {

constexpr TextView kBeforeAnswers[] = {U"could be ",  U"so ",    U"is ",     U"thus ",
                                       U"therefore ", U"final ", U"answer ", U"result "};
constexpr TextView kTrivial = U":,.!?;'";

// A text in which numbers are looked for. Matches begin everywhere, also within a long run of digits, so runs are measured once.
class Digits {
 public:
  explicit Digits(TextView where) : text(where), runs_(where.size()) {
    for (size_t i = text.size(); i-- > 0;) {
      if (Digit(text[i])) runs_[i] = 1 + (i + 1 < text.size() ? runs_[i + 1] : 0);
    }
  }
  // How many digits follow each other from `at` on.
  size_t From(size_t at) const { return at < runs_.size() ? runs_[at] : 0; }

  const TextView text;

 private:
  std::vector<uint32_t> runs_;
};

// \b in front of text[at].
bool IsWordEdge(TextView text, size_t at) {
  const bool before = at > 0 && IsWord(text[at - 1]);
  const bool after = at < text.size() && IsWord(text[at]);
  return before != after;
}

// The functions below say where a match that begins at `at` ends; `at` itself: there is none.

// -?\b\d{1,3}(?:,\d{3})+\b
size_t WithCommas(const Digits& digits, size_t at) {
  const TextView text = digits.text;
  const size_t begin = at;
  if (text[at] == U'-') ++at;
  if (!IsWordEdge(text, at)) return begin;
  for (size_t lead = std::min<size_t>(3, digits.From(at)); lead >= 1; --lead) {
    // Groups are taken one by one; the match may end after any of them, as late as possible.
    size_t end = at + lead;
    size_t match = begin;
    while (end < text.size() && text[end] == U',' && digits.From(end + 1) >= 3) {
      end += 4;
      if (IsWordEdge(text, end)) match = end;
    }
    if (match != begin) return match;
  }
  return begin;
}

// [eE][+-]?\d+
size_t Exponent(const Digits& digits, size_t at) {
  const TextView text = digits.text;
  if (at >= text.size() || (text[at] != U'e' && text[at] != U'E')) return at;
  size_t end = at + 1;
  if (end < text.size() && (text[end] == U'+' || text[end] == U'-')) ++end;
  const size_t exponent = digits.From(end);
  return exponent == 0 ? at : end + exponent;
}

// -?\d+(?:\.\d+)?[eE][+-]?\d+
size_t Scientific(const Digits& digits, size_t at) {
  const TextView text = digits.text;
  const size_t begin = at;
  if (text[at] == U'-') ++at;
  size_t end = at + digits.From(at);
  if (end == at) return begin;
  if (end < text.size() && text[end] == U'.') {
    const size_t fraction = digits.From(end + 1);
    if (fraction > 0) end += 1 + fraction;
  }
  const size_t after = Exponent(digits, end);
  return after == end ? begin : after;
}

// (?![eE][+-]?\d+)(?![,\d])
bool MayEndPlain(const Digits& digits, size_t at) {
  const TextView text = digits.text;
  if (Exponent(digits, at) != at) return false;
  return at >= text.size() || (text[at] != U',' && !Digit(text[at]));
}

// -?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])
size_t Plain(const Digits& digits, size_t at) {
  const TextView text = digits.text;
  const size_t begin = at;
  if (text[at] == U'-') ++at;
  const size_t whole = digits.From(at);
  const size_t point = at + whole;
  if (point < text.size() && text[point] == U'.') {  // also with nothing in front
    const size_t end = point + 1 + digits.From(point + 1);
    if (end > point + 1 && MayEndPlain(digits, end)) return end;
  }
  // \b holds only after the last digit.
  return whole > 0 && IsWordEdge(text, point) && MayEndPlain(digits, point) ? point : begin;
}

template <typename Match>
void FindAll(const Digits& digits, const Match& match, std::vector<Text>& out) {
  for (size_t at = 0; at < digits.text.size();) {
    const size_t end = match(digits, at);
    if (end != at) out.emplace_back(digits.text.substr(at, end - at));
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
  const Digits digits(text);
  std::vector<Text> numbers;
  FindAll(digits, WithCommas, numbers);
  FindAll(digits, Scientific, numbers);
  FindAll(digits, Plain, numbers);
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
