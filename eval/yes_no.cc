#include "eval/yes_no.h"

#include <algorithm>

#include "eval/vqa.h"

namespace binocle::eval {
namespace {

Text Without(TextView text, TextView marks) {
  Text out(text);
  std::erase_if(out, [&](char32_t c) { return Contains(marks, TextView(&c, 1)); });
  return out;
}

YesNo Exactly(TextView word) {
  return word == U"yes" ? YesNo::kYes : word == U"no" ? YesNo::kNo : YesNo::kOther;
}

YesNo InFirstFour(TextView text) {
  const TextView start = text.substr(0, 4);
  if (Contains(start, U"yes")) return YesNo::kYes;
  return Contains(start, U"no") ? YesNo::kNo : YesNo::kOther;
}

}  // namespace

std::string_view YesNoName(YesNo answer) {
  return answer == YesNo::kYes ? "yes" : answer == YesNo::kNo ? "no" : "other";
}

YesNo ParsePopeLlava(TextView answer) {
  const std::vector<Text> words = SplitOn(Without(answer.substr(0, answer.find(U'.')), U","), U' ');
  const bool no = std::any_of(words.begin(), words.end(), [](const Text& word) {
    return word == U"No" || word == U"not" || word == U"no";
  });
  return no ? YesNo::kNo : YesNo::kYes;
}

YesNo ParsePopeOpera(TextView answer) {
  const std::vector<Text> words = SplitOn(Without(answer, U".,"), U' ');
  const bool no = std::any_of(words.begin(), words.end(), [](const Text& word) {
    return word == U"No" || word == U"not" || word == U"no" || word == U"NO" ||
           word.ends_with(U"n't");
  });
  return no ? YesNo::kNo : YesNo::kYes;
}

YesNo ParsePopeVcd(TextView answer, YesNo wanted) {
  const bool found = Contains(Lower(answer), wanted == YesNo::kYes ? U"yes" : U"no");
  return found == (wanted == YesNo::kYes) ? YesNo::kYes : YesNo::kNo;
}

YesNo ParsePopeLmms(TextView answer) { return Exactly(Strip(Lower(answer))); }

YesNo ParsePopeVlmeval(TextView answer) {
  const std::vector<Text> words =
      SplitWords(ProcessPunctuation(Lower(answer), Commas::kOne, FullStops::kNotAfterDigits));
  const auto has = [&](TextView word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const bool yes = has(U"yes");
  if (yes == has(U"no")) return YesNo::kOther;
  return yes ? YesNo::kYes : YesNo::kNo;
}

YesNo ParseMme(TextView answer) { return InFirstFour(Lower(answer)); }

YesNo ParseMmeLmms(TextView answer) {
  const Text text = Without(Strip(Lower(answer)), U".");
  if (text == U"y") return YesNo::kYes;
  if (text == U"n") return YesNo::kNo;
  return InFirstFour(text);
}

}  // namespace binocle::eval
