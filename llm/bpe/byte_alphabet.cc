#include "llm/bpe/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "llm/utf8.h"

namespace binocle {
namespace {

constexpr int kLetters = 0x100 + 68;  // 68 bytes do not print as themselves

constexpr bool PrintsAsItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// By code point; −1: none.
constexpr std::array<int16_t, kLetters> kByteOf = [] {
  std::array<int16_t, kLetters> bytes{};
  for (int16_t& byte : bytes) byte = -1;
  int next = 0x100;
  for (int byte = 0; byte < 0x100; ++byte) {
    const int letter = PrintsAsItself(byte) ? byte : next++;
    bytes[static_cast<size_t>(letter)] = static_cast<int16_t>(byte);
  }
  return bytes;
}();

}  // namespace

std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  std::string bytes;
  while (!spelling.empty()) {
    const size_t length = Utf8CharacterLength(spelling);
    if (length == 0 || length > 2) return std::nullopt;
    const auto first = static_cast<unsigned char>(spelling[0]);
    const unsigned letter =
        length == 1 ? first
                    : (first & 0x1Fu) << 6 | (static_cast<unsigned char>(spelling[1]) & 0x3Fu);
    if (letter >= kLetters || kByteOf[letter] < 0) return std::nullopt;
    bytes += static_cast<char>(kByteOf[letter]);
    spelling.remove_prefix(length);
  }
  return bytes;
}

std::string SpellingOfBytes(std::string_view bytes) {
  static const std::array<uint16_t, 0x100> kLetterOf = [] {
    std::array<uint16_t, 0x100> letters{};
    for (size_t letter = 0; letter < kByteOf.size(); ++letter)
      if (kByteOf[letter] >= 0)
        letters[static_cast<size_t>(kByteOf[letter])] = static_cast<uint16_t>(letter);
    return letters;
  }();
  std::string spelling;
  for (const char c : bytes) {
    const unsigned letter = kLetterOf[static_cast<unsigned char>(c)];
    if (letter >= 0x80) spelling += static_cast<char>(0xC0u | letter >> 6);
    spelling += static_cast<char>(letter >= 0x80 ? 0x80u | (letter & 0x3Fu) : letter);
  }
  return spelling;
}

}  // namespace binocle
