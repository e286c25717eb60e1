#include "llm/utf8.h"

#include <algorithm>
#include <array>

namespace binocle {
namespace {

// The bytes that may follow a lead byte: how many, and the range of the first of them. That range is what rules out
// overlong forms (E0, F0), surrogates (ED) and code points above U+10FFFF (F4).
struct Lead {
  size_t length;
  unsigned char low;
  unsigned char high;
};

Lead LeadOf(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {4, 0x80, 0xBF};
}

// How many bytes at the front of `text` agree with one character that starts there, at most its length.
size_t AgreeingBytes(std::string_view text, const Lead& lead) {
  const size_t present = std::min(text.size(), lead.length);
  for (size_t i = 1; i < present; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool fits = i == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
    if (!fits) return i;
  }
  return present;
}

constexpr std::array<std::string_view, 29> kWhiteSpace = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1C",   "\x1D",
    "\x1E",   "\x1F",                                                                // ASCII
    "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004",  //
    "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A", "\u2028", "\u2029",
    "\u202F", "\u205F", "\u3000"};

// Of kWhiteSpace.
bool IsWhiteSpace(std::string_view space, WhiteSpace which) {
  return which == WhiteSpace::kPython || space < "\x1C" || space > "\x1F";
}

}  // namespace

size_t Utf8CharacterLength(std::string_view text) {
  if (text.empty()) return 0;
  const Lead lead = LeadOf(static_cast<unsigned char>(text[0]));
  return lead.length != 0 && AgreeingBytes(text, lead) == lead.length ? lead.length : 0;
}

bool IsUnfinishedCharacter(std::string_view text) {
  if (text.empty()) return false;
  const Lead lead = LeadOf(static_cast<unsigned char>(text[0]));
  return text.size() < lead.length && AgreeingBytes(text, lead) == text.size();
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

size_t BrokenCharacterLength(std::string_view text) {
  size_t length = 1;
  while (length < text.size() && IsUnfinishedCharacter(text.substr(0, length)) &&
         IsUnfinishedCharacter(text.substr(0, length + 1)))
    ++length;
  return length;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8CharacterLength(text);
    out += length == 0 ? kReplacementCharacter : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string_view TrimFront(std::string_view text, WhiteSpace which) {
  const auto opens = [&](std::string_view space) {
    return text.starts_with(space) && IsWhiteSpace(space, which);
  };
  for (auto it = kWhiteSpace.begin(); it != kWhiteSpace.end();) {
    it = std::find_if(kWhiteSpace.begin(), kWhiteSpace.end(), opens);
    if (it != kWhiteSpace.end()) text.remove_prefix(it->size());
  }
  return text;
}

std::string_view TrimBack(std::string_view text, WhiteSpace which) {
  const auto ends = [&](std::string_view space) {
    return text.ends_with(space) && IsWhiteSpace(space, which);
  };
  for (auto it = kWhiteSpace.begin(); it != kWhiteSpace.end();) {
    it = std::find_if(kWhiteSpace.begin(), kWhiteSpace.end(), ends);
    if (it != kWhiteSpace.end()) text.remove_suffix(it->size());
  }
  return text;
}

}  // namespace binocle
