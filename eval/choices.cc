#include "eval/choices.h"

#include <algorithm>
#include <utility>

namespace binocle::eval {
namespace {

constexpr TextView kMmbenchLetters = U"ABCDE";
constexpr size_t kMmbenchOptions = 4;  // whose texts are looked for
// What may stand around a letter, in the order in which it is tried.
constexpr std::pair<TextView, TextView> kAround[] = {
    {U"", U"."},   {U"", U","}, {U"", U":"},  {U"", U")"},  {U"", U")."}, {U"(", U")"},
    {U"(", U")."}, {U":", U""}, {U":", U","}, {U":", U"."}, {U":", U")"}, {U":", U")."}};

bool IsWordOf(const std::vector<Text>& words, const Text& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The letters of `letters` that are words once `before` and `after` stand around them.
Text LettersAmong(const std::vector<Text>& words, TextView letters, TextView before,
                  TextView after) {
  Text found;
  for (const char32_t letter : letters) {
    if (IsWordOf(words, Text(before) + letter + Text(after))) found += letter;
  }
  return found;
}

Letter OptionLetter(size_t index) { return static_cast<Letter>('A' + index); }

std::optional<Letter> InferMmbenchLetter(const std::vector<Text>& words) {
  const Text alone = LettersAmong(words, kMmbenchLetters, U"", U"");
  const bool article = IsWordOf(words, U"A") && words.size() > 3;
  if (alone.size() == 1 && !article) return static_cast<Letter>(alone[0]);
  for (const auto& [before, after] : kAround) {
    const Text marked = LettersAmong(words, kMmbenchLetters, before, after);
    if (marked.size() == 1) return static_cast<Letter>(marked[0]);
  }
  return std::nullopt;
}

// The only option whose text occurs in `lower`, among the first `count`.
std::optional<Letter> OnlyOptionIn(TextView lower, const std::vector<Text>& options, size_t count) {
  std::optional<Letter> found;
  for (size_t i = 0; i < std::min(options.size(), count); ++i) {
    if (!Contains(lower, Lower(options[i]))) continue;
    if (found) return std::nullopt;
    found = OptionLetter(i);
  }
  return found;
}

// The letter of the first match of answer\s+is\s+\**([ABCD]) in any case, as a capital; 0 for none.
char32_t LetterBehindAnswerIs(TextView lower) {
  constexpr TextView kAnswer = U"answer";
  const auto blanks = [&](size_t& at) {
    const size_t begin = at;
    while (at < lower.size() && IsSpace(lower[at])) ++at;
    return at > begin;
  };
  for (size_t found = lower.find(kAnswer); found != TextView::npos;
       found = lower.find(kAnswer, found + 1)) {
    size_t at = found + kAnswer.size();
    if (!blanks(at) || lower.substr(at, 2) != U"is") continue;
    at += 2;
    if (!blanks(at)) continue;
    while (at < lower.size() && lower[at] == U'*') ++at;
    if (at < lower.size() && lower[at] >= U'a' && lower[at] <= U'd') return lower[at] - U'a' + U'A';
  }
  return 0;
}

// Where the last `part` of `text` begins, −1 for none.
int64_t LastPlace(TextView text, TextView part) {
  const size_t at = text.rfind(part);
  return at == TextView::npos ? -1 : static_cast<int64_t>(at);
}

// What stands for an option in an answer, and what orders several.
struct Mark {
  Text found;
  Text ordered;
};

// The option whose mark comes last among those that are there; of equals the first.
template <typename MarkOf>
std::optional<Letter> LastMarked(TextView text, size_t options, const MarkOf& mark_of) {
  std::optional<Letter> last;
  int64_t place = 0;
  for (size_t i = 0; i < options; ++i) {
    const Mark mark = mark_of(i);
    if (!Contains(text, mark.found)) continue;
    const int64_t at = LastPlace(text, mark.ordered);
    if (last && at <= place) continue;
    last = OptionLetter(i);
    place = at;
  }
  return last;
}

}  // namespace

std::optional<Letter> InferMmbench(TextView answer, const std::vector<Text>& options) {
  const TextView stripped = Strip(answer);
  if (const auto letter = InferMmbenchLetter(SplitWords(stripped))) return letter;
  return OnlyOptionIn(Lower(stripped), options, kMmbenchOptions);
}

std::optional<Letter> InferMmbenchVlmeval(TextView answer, const std::vector<Text>& options) {
  constexpr TextView kMarks = U".()[],:;!*#{}";
  constexpr TextView kRefusals[] = {
      U"Sorry, I can't help with images of people yet.", U"I can't process this file.",
      U"I'm sorry, but without the image provided", U"Cannot determine the answer"};
  for (const TextView refusal : kRefusals) {
    if (Contains(answer, refusal)) return std::nullopt;
  }
  Text plain(answer);
  std::replace_if(
      plain.begin(), plain.end(), [&](char32_t c) { return Contains(kMarks, TextView(&c, 1)); },
      U' ');
  const std::vector<Text> words = SplitWords(plain);
  Text letters;
  for (size_t i = 0; i < options.size(); ++i) letters += static_cast<char32_t>(OptionLetter(i));
  const Text alone = LettersAmong(words, letters, U"", U"");
  if (alone.size() == 1) {
    const auto place = std::find(words.begin(), words.end(), alone) - words.begin();
    if (place > std::ssize(words) - 5) return static_cast<Letter>(alone[0]);
  }
  if (alone.empty() && IsWordOf(words, U"Z")) return std::nullopt;
  const Text lower = Lower(answer);
  const char32_t behind = LetterBehindAnswerIs(lower);
  if (behind != 0 && Contains(letters, TextView(&behind, 1))) return static_cast<Letter>(behind);
  size_t length = 0;
  for (const Text& option : options) length += option.size();
  if (lower.size() > 2 * length) return std::nullopt;
  return OnlyOptionIn(lower, options, options.size());
}

std::optional<Letter> ParseMmmuChoice(TextView answer, const std::vector<Text>& options,
                                      MmmuRules rules) {
  for (const char32_t mark : TextView(U",.!?;:'")) answer = StripOf(answer, mark);
  const Text text = U" " + Text(answer) + U" ";
  const auto letter = [](size_t i) { return Text(1, static_cast<char32_t>(OptionLetter(i))); };
  const auto find = [&](TextView before, TextView after, TextView order_before,
                        TextView order_after) {
    return LastMarked(text, options.size(), [&](size_t i) {
      return Mark{Text(before) + letter(i) + Text(after),
                  Text(order_before) + letter(i) + Text(order_after)};
    });
  };
  if (const auto found = find(U"(", U")", U"(", U")")) return found;
  if (rules == MmmuRules::kOfficial) {
    if (const auto found = find(U" ", U" ", U" ", U" ")) return found;
  } else {
    // Several are ordered by " B " even so.
    if (const auto found = find(U"", U" ", U" ", U" ")) return found;
    if (const auto found = find(U"", U".", U" ", U" ")) return found;
  }
  if (SplitWords(text).size() <= 5) return std::nullopt;
  return LastMarked(Lower(text), options.size(), [&](size_t i) {
    return Mark{Lower(options[i]), Lower(options[i])};
  });
}

Text FirstCharacter(TextView answer) { return Text(Strip(answer).substr(0, 1)); }

std::optional<Letter> ParseScienceQa(TextView answer, size_t options) {
  constexpr TextView kLetters = U"ABCDE";
  constexpr TextView kPhrase = U"The answer is ";
  Text found;
  if (answer.size() == 1 && Contains(kLetters, answer)) {
    found = answer;
  } else if (answer.size() >= 3 && Contains(kLetters, answer.substr(0, 1)) &&
             answer.substr(1, 2) == U". ") {
    found = answer.substr(0, 1);
  } else {
    size_t next = 0;
    for (size_t at = answer.find(kPhrase); at != TextView::npos; at = answer.find(kPhrase, next)) {
      const TextView rest = answer.substr(at + kPhrase.size());
      const bool match = rest.size() >= 2 && rest[0] >= U'A' && rest[0] <= U'Z' && rest[1] != U'\n';
      if (match) found += rest[0];
      next = match ? at + kPhrase.size() + 2 : at + 1;
    }
  }
  if (found.size() != 1) return std::nullopt;
  const size_t index = kLetters.find(found[0]);
  if (index == TextView::npos || index >= options) return std::nullopt;
  return OptionLetter(index);
}

bool IsScienceQaLmmsMatch(TextView answer, Letter wanted) {
  const Text letter = Lower(Text(1, static_cast<char32_t>(wanted)));
  const TextView stripped = Strip(answer);
  if (Lower(stripped) == letter) return true;
  const bool marked = stripped.size() >= 2 && stripped[1] == U'.';
  const Text first(stripped.substr(0, 1));
  return marked && Lower(first) != first && Lower(first) == letter;
}

}  // namespace binocle::eval
