// The spellings of JSON values that constrained answers use, as trees of regex_parser.h.
//
// There is one spelling for every character of a string: itself, or \" \\ \b \f \n \r \t. Other control characters have none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "llm/constraint/regex_parser.h"

namespace binocle {

// The largest integers that are written have 18 digits, so that every reader can hold them.
inline constexpr int64_t kMaxJsonInteger = 999'999'999'999'999'999;

// The inside of a string: min … max characters. RegexNode::kUnbounded as in RegexNode.
RegexNode JsonCharacters(int min, int max);

// The inside of a string that the expression matches, somewhere unless it is anchored.
RegexNode JsonCharactersMatching(const ParsedRegex& regex);

// Integers low … high, −kMaxJsonInteger ≤ low ≤ high ≤ kMaxJsonInteger, without leading zeros and without -0.
RegexNode JsonInteger(int64_t low, int64_t high);

// Numbers of up to 15 digits in front of the point, 15 behind it and two in the exponent.
RegexNode JsonNumber();

// "date", "time", "date-time" and "uuid", the inside of a string; nothing for other names.
std::optional<RegexNode> JsonFormat(std::string_view name);

}  // namespace binocle
