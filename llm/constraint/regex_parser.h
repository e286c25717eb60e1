// Regular expressions, parsed.
//
// The dialect is that of docs/constraints.md: what Python, JavaScript and RE2 agree on, without anything that looks around or back.
// Groups capture nothing. Nesting is limited, so whoever walks a tree may recurse.
//
//   ParsedRegex regex = ParseRegex("(red|blue) [0-9]{1,3}");
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "llm/constraint/code_points.h"

namespace binocle {

// Limits of the parser; above them RESOURCE_EXHAUSTED.
inline constexpr int kMaxRegexNesting = 200;  // groups in groups
inline constexpr int kMaxRegexRepeat = 1000;  // m and n of {m,n}

struct RegexNode {
  enum class Kind : uint8_t {
    kCharacter,  // one character of `set`
    kSequence,   // the children one after the other; without any, the empty text
    kAnyOf,      // one of the children
    kRepeat,     // the one child, min … max times
  };
  static constexpr int kUnbounded = -1;

  Kind kind = Kind::kSequence;
  CodePoints set = {};
  std::vector<RegexNode> children = {};
  int min = 0;
  int max = 0;  // kUnbounded: no end
};

// One alternative of the outermost level.
struct RegexBranch {
  RegexNode node;
  bool anchored_front = false;  // begins with ^
  bool anchored_back = false;   // ends with $
};

struct ParsedRegex {
  std::vector<RegexBranch> branches;
};

// Throws INVALID_ARGUMENT for what is no regular expression and UNIMPLEMENTED for constructs outside the dialect, both with the
// place as a byte of the pattern, counted from 0.
ParsedRegex ParseRegex(std::string_view pattern);

}  // namespace binocle
