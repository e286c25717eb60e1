#include "llm/constraint/code_points.h"

#include <algorithm>

#include "core/error.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

constexpr char32_t kBeforeSurrogates = 0xD7FF;
constexpr char32_t kAfterSurrogates = 0xE000;

size_t EncodedLength(char32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

std::array<uint8_t, 4> EncodeAs(char32_t c, size_t length) {
  std::array<uint8_t, 4> bytes = {};
  if (length == 1) return {static_cast<uint8_t>(c)};
  for (size_t i = length; i-- > 1; c >>= 6) bytes[i] = static_cast<uint8_t>(0x80 | (c & 0x3F));
  constexpr std::array<uint8_t, 5> kLead = {0, 0, 0xC0, 0xE0, 0xF0};
  bytes[0] = static_cast<uint8_t>(kLead[length] | c);
  return bytes;
}

// Splits low … high, of one encoded length, until every byte ranges by itself: below the first byte in which the ends differ, all
// continuation bytes must be possible.
void Split(char32_t low, char32_t high, std::vector<Utf8Sequence>& out) {
  const size_t length = EncodedLength(low);
  for (size_t tail = 1; tail < length; ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      Split(low, low | mask, out);
      Split((low | mask) + 1, high, out);
      return;
    }
    if ((high & mask) != mask) {
      Split(low, (high & ~mask) - 1, out);
      Split(high & ~mask, high, out);
      return;
    }
  }
  const auto first = EncodeAs(low, length);
  const auto last = EncodeAs(high, length);
  Utf8Sequence sequence{.length = length};
  for (size_t i = 0; i < length; ++i) sequence.bytes[i] = {first[i], last[i]};
  out.push_back(sequence);
}

}  // namespace

CodePoints CodePoints::Range(char32_t low, char32_t high) {
  CodePoints set;
  set.Add(low, high);
  return set;
}

CodePoints CodePoints::Of(std::span<const Interval> intervals) {
  CodePoints set;
  for (const auto& [low, high] : intervals) set.Append(low, high);
  set.Normalise();
  return set;
}

void CodePoints::Append(char32_t low, char32_t high) {
  if (low <= kBeforeSurrogates) intervals_.push_back({low, std::min(high, kBeforeSurrogates)});
  if (high >= kAfterSurrogates) intervals_.push_back({std::max(low, kAfterSurrogates), high});
}

void CodePoints::Add(char32_t low, char32_t high) {
  Append(low, high);
  Normalise();
}

void CodePoints::Add(const CodePoints& other) {
  intervals_.insert(intervals_.end(), other.intervals_.begin(), other.intervals_.end());
  Normalise();
}

void CodePoints::Normalise() {
  std::sort(intervals_.begin(), intervals_.end(),
            [](const Interval& a, const Interval& b) { return a.low < b.low; });
  size_t kept = 0;
  for (const Interval& next : intervals_) {
    if (kept > 0 && next.low <= intervals_[kept - 1].high + 1) {
      intervals_[kept - 1].high = std::max(intervals_[kept - 1].high, next.high);
    } else {
      intervals_[kept++] = next;
    }
  }
  intervals_.resize(kept);
}

CodePoints CodePoints::Complement() const {
  CodePoints result;
  char32_t next = 0;
  for (const Interval& interval : intervals_) {
    if (interval.low > next) result.Append(next, interval.low - 1);
    next = interval.high + 1;
  }
  if (next <= kLastCodePoint) result.Append(next, kLastCodePoint);
  return result;
}

CodePoints CodePoints::Without(const CodePoints& other) const {
  CodePoints outside = Complement();
  outside.Add(other);
  return outside.Complement();
}

bool CodePoints::Contains(char32_t c) const {
  const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), c,
                                      [](char32_t x, const Interval& i) { return x < i.low; });
  return after != intervals_.begin() && c <= std::prev(after)->high;
}

std::vector<Utf8Sequence> Utf8Sequences(const CodePoints& set) {
  std::vector<Utf8Sequence> out;
  for (const auto& [low, high] : set.intervals()) {
    char32_t from = low;
    for (const char32_t last_of_length :
         {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}, kLastCodePoint}) {
      if (from > high || from > last_of_length) continue;
      Split(from, std::min(high, last_of_length), out);
      from = last_of_length + 1;
    }
  }
  return out;
}

DecodedCharacter DecodeCharacter(std::string_view text) {
  const size_t length = Utf8CharacterLength(text);
  BINOCLE_CHECK(length > 0, "not at a character");
  constexpr std::array<char32_t, 5> kLeadBits = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t c = static_cast<uint8_t>(text[0]) & kLeadBits[length];
  for (size_t i = 1; i < length; ++i) c = c << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
  return {.code_point = c, .bytes = length};
}

}  // namespace binocle
