// UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. The same verdicts as sentencepiece's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace binocle {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the character at the front of `text`, or 0 when there is none (empty, invalid or cut off).
size_t Utf8CharacterLength(std::string_view text);

// Whether `text` is the beginning of one character that more bytes could complete.
bool IsUnfinishedCharacter(std::string_view text);

bool IsUtf8(std::string_view text);

// Every byte that belongs to no character becomes U+FFFD, as sentencepiece does it: two stray bytes give two of them.
std::string ReplaceInvalidUtf8(std::string_view text);

// Bytes at the front of `text`, at least one, that an unfinished character would have; 1 where the first byte can begin none.
size_t BrokenCharacterLength(std::string_view text);

// Unicode's property White_Space, as in Rust and in \s; Python's str.strip takes the separators U+001C to U+001F too.
enum class WhiteSpace : uint8_t { kUnicode, kPython };
// The text without the white space at its front or its end.
std::string_view TrimFront(std::string_view text, WhiteSpace which = WhiteSpace::kPython);
std::string_view TrimBack(std::string_view text, WhiteSpace which = WhiteSpace::kPython);

}  // namespace binocle
