// The alphabet of byte-level vocabularies (GPT-2's): every byte is written as one printable character, those that print as themselves
// and the others as U+0100, U+0101, … in order. " " is "Ġ".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace binocle {

// The bytes that `spelling` stands for; nothing where a character of it is none of the alphabet.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

// The other way round.
std::string SpellingOfBytes(std::string_view bytes);

}  // namespace binocle
