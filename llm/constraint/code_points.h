// Sets of Unicode code points, and the byte sequences that spell them.
//
//   CodePoints set = CodePoints::Range('a', 'z');
//   set.Add(U'é', U'é');
//   for (const Utf8Sequence& s : Utf8Sequences(set.Complement())) …   // ranges of bytes, one per byte of a character
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace binocle {

inline constexpr char32_t kLastCodePoint = 0x10FFFF;

// A set of code points that are characters of UTF-8: surrogates are never in it.
class CodePoints {
 public:
  struct Interval {
    char32_t low = 0;
    char32_t high = 0;  // inclusive
    bool operator==(const Interval&) const = default;
  };

  static CodePoints Range(char32_t low, char32_t high);
  static CodePoints Of(std::span<const Interval> intervals);
  static CodePoints All() { return Range(0, kLastCodePoint); }

  void Add(char32_t low, char32_t high);
  void Add(const CodePoints& other);
  CodePoints Complement() const;
  CodePoints Without(const CodePoints& other) const;

  bool Contains(char32_t c) const;
  // Sorted, with a gap between any two.
  std::span<const Interval> intervals() const { return intervals_; }

 private:
  void Append(char32_t low, char32_t high);
  void Normalise();

  std::vector<Interval> intervals_;
};

struct ByteRange {
  uint8_t low = 0;
  uint8_t high = 0;  // inclusive
};

// The characters whose i-th byte lies in bytes[i].
struct Utf8Sequence {
  std::array<ByteRange, 4> bytes = {};
  size_t length = 0;
};

// Sequences that together spell each character of the set once and nothing else.
std::vector<Utf8Sequence> Utf8Sequences(const CodePoints& set);

// The code point at the front of `text`, whose first character is whole, and its bytes.
struct DecodedCharacter {
  char32_t code_point = 0;
  size_t bytes = 0;
};
DecodedCharacter DecodeCharacter(std::string_view text);

}  // namespace binocle
