#include "eval/vqa.h"

#include <algorithm>
#include <array>
#include <utility>

#include "eval/contractions.h"

namespace binocle::eval {
namespace {

constexpr TextView kPunctuation = U";/[]\"{}()=+\\_-><@`,?!";
// vqaEval.py passes re.UNICODE as the number of replacements, and its value is 32.
constexpr int kMostFullStops = 32;

constexpr std::pair<TextView, TextView> kNumbers[] = {
    {U"none", U"0"},  {U"zero", U"0"},  {U"one", U"1"},  {U"two", U"2"},
    {U"three", U"3"}, {U"four", U"4"},  {U"five", U"5"}, {U"six", U"6"},
    {U"seven", U"7"}, {U"eight", U"8"}, {U"nine", U"9"}, {U"ten", U"10"}};
constexpr TextView kArticles[] = {U"a", U"an", U"the"};

bool HasCommaBetweenDigits(TextView text, Commas commas) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (!Digit(text[i]) || text[i + 1] != U',') continue;
    size_t after = i + 2;
    while (commas == Commas::kAny && after < text.size() && text[after] == U',') ++after;
    if (after < text.size() && Digit(text[after])) return true;
  }
  return false;
}

bool TouchesBlank(TextView text, char32_t mark) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != mark) continue;
    if ((i > 0 && text[i - 1] == U' ') || (i + 1 < text.size() && text[i + 1] == U' ')) return true;
  }
  return false;
}

// The published pattern means to spare a full stop after a digit as well, but a typing error in its look-behind makes that part match
// always. VLMEvalKit has it right.
Text DropFullStops(TextView text, FullStops stay) {
  Text out;
  int dropped = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stays = (i + 1 < text.size() && Digit(text[i + 1])) ||
                       (stay == FullStops::kNotAfterDigits && i > 0 && Digit(text[i - 1]));
    const bool drop = text[i] == U'.' && dropped < kMostFullStops && !stays;
    if (drop) {
      ++dropped;
    } else {
      out += text[i];
    }
  }
  return out;
}

double LeaveOneOut(TextView answer, const std::vector<Text>& references) {
  const auto matches = std::count(references.begin(), references.end(), answer);
  double sum = 0;
  for (const Text& reference : references) {
    const auto others = matches - (reference == answer ? 1 : 0);
    sum += std::min(1.0, static_cast<double>(others) / 3);
  }
  return sum / static_cast<double>(references.size());
}

Text ProcessVqaV2(TextView text) {
  return ProcessDigitsAndArticles(ProcessPunctuation(text, Commas::kOne));
}

}  // namespace

Text ProcessPunctuation(TextView text, Commas commas, FullStops stay) {
  const bool comma = HasCommaBetweenDigits(text, commas);
  // What becomes of a mark depends on the text before any was replaced.
  std::array<bool, kPunctuation.size()> dropped{};
  for (size_t k = 0; k < kPunctuation.size(); ++k)
    dropped[k] = comma || TouchesBlank(text, kPunctuation[k]);
  Text out;
  for (const char32_t c : text) {
    const size_t mark = kPunctuation.find(c);
    if (mark == TextView::npos) {
      out += c;
    } else if (!dropped[mark]) {
      out += U' ';
    }
  }
  return DropFullStops(out, stay);
}

Text ProcessDigitsAndArticles(TextView text) {
  std::vector<Text> words;
  for (Text& word : SplitWords(Lower(text))) {
    const auto* number = std::find_if(std::begin(kNumbers), std::end(kNumbers),
                                      [&](const auto& pair) { return pair.first == word; });
    if (number != std::end(kNumbers)) word = number->second;
    if (std::find(std::begin(kArticles), std::end(kArticles), word) != std::end(kArticles))
      continue;
    words.push_back(FromUtf8(WithApostrophe(ToUtf8(word))));
  }
  return JoinWords(words);
}

Text OneLine(TextView text) {
  Text line(text);
  std::replace_if(
      line.begin(), line.end(), [](char32_t c) { return c == U'\n' || c == U'\t'; }, U' ');
  return Text(Strip(line));
}

Text ProcessM4c(TextView text) {
  Text word = Lower(text);
  std::erase_if(word, [](char32_t c) { return c == U',' || c == U'?'; });
  word = ReplaceAll(word, U"'s", U" 's");
  return ProcessDigitsAndArticles(ProcessPunctuation(OneLine(Strip(word)), Commas::kAny));
}

VqaScore ScoreVqaV2(TextView answer, const std::vector<Text>& references) {
  VqaScore score{.answer = OneLine(answer)};
  std::vector<Text> compared;
  for (const Text& reference : references) compared.push_back(OneLine(reference));
  const bool differ = std::any_of(compared.begin(), compared.end(),
                                  [&](const Text& r) { return r != compared.front(); });
  if (differ) {
    score.answer = ProcessVqaV2(score.answer);
    for (Text& reference : compared) reference = ProcessVqaV2(reference);
  }
  score.accuracy = LeaveOneOut(score.answer, compared);
  return score;
}

VqaScore ScoreTextVqa(TextView answer, const std::vector<Text>& references) {
  VqaScore score{.answer = ProcessM4c(answer)};
  std::vector<Text> compared;
  for (const Text& reference : references) compared.push_back(ProcessM4c(reference));
  score.accuracy = LeaveOneOut(score.answer, compared);
  return score;
}

}  // namespace binocle::eval
