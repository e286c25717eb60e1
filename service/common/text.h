// Texts for messages and for proto strings.
#pragma once

#include <cstddef>
#include <sstream>
#include <string>
#include <string_view>

namespace binocle {

template <typename... Parts>
std::string Text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// `text` as UTF-8 that any protobuf reader takes: what is no character becomes U+FFFD. Cut before the character that would make it longer
// than `max_bytes`.
std::string ValidUtf8(std::string_view text, size_t max_bytes = std::string_view::npos);

// Bytes of the character of UTF-8 that `text`, which is not empty, begins with; 0 where there is none.
size_t CharacterLength(std::string_view text);

}  // namespace binocle
