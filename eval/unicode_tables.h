// What Python's str knows of characters: tables for eval/text.h. Ascending; bounds are inclusive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace binocle::eval {

struct CharacterRange {
  char32_t first;
  char32_t last;
};
// Every `step`-th character from `first` to `last` becomes lower case by adding `delta`.
struct LowerRun {
  char32_t first;
  char32_t last;
  uint32_t step;
  int32_t delta;
};

// A character whose upper case is several, such as ß.
struct LongUpper {
  char32_t first;
  size_t length;
};

extern const std::span<const CharacterRange> kSpaces;          // str.isspace
extern const std::span<const char32_t> kDigitZeros;            // category Nd: the zero of each ten
extern const std::span<const CharacterRange> kWordCharacters;  // \w: str.isalnum and _
extern const std::span<const LowerRun> kLower;                 // str.lower, but for U+0130
extern const std::span<const LongUpper> kLongUppers;           // str.upper

}  // namespace binocle::eval
