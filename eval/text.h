// Text as the published scorers see it: characters rather than bytes, with the meaning that Python gives to "lower", "strip", "split",
// "\d", "\w" and float(). Their scores depend on these, so each function here says what it is there.
//
// One thing is not the same: a capital sigma at the end of a word becomes σ and not ς.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binocle::eval {

using Text = std::u32string;
using TextView = std::u32string_view;

// `utf8` must be valid.
Text FromUtf8(std::string_view utf8);
std::string ToUtf8(TextView text);

bool IsSpace(char32_t c);              // str.isspace, \s
bool IsWord(char32_t c);               // \w
std::optional<int> Digit(char32_t c);  // \d: the value of a decimal digit of any script

Text Lower(TextView text);                                     // str.lower()
size_t UpperLength(TextView text);                             // len(str.upper())
TextView Strip(TextView text);                                 // str.strip()
TextView StripOf(TextView text, char32_t c);                   // str.strip(c)
std::vector<Text> SplitWords(TextView text);                   // str.split()
std::vector<Text> SplitOn(TextView text, char32_t separator);  // str.split(separator)
Text JoinWords(const std::vector<Text>& words);                // " ".join(words)
Text ReplaceAll(TextView text, TextView from,
                TextView to);                 // str.replace(from, to); `from` is not empty
bool Contains(TextView text, TextView part);  // part in text

// float(text), or nothing where it would throw: blanks around, digits of any script, single underscores between digits, inf and nan.
std::optional<double> ParseFloat(TextView text);

}  // namespace binocle::eval
