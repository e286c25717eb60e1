#include "eval/readers/json_scan.h"

#include <algorithm>

namespace binocle::eval {
namespace {

constexpr int kMostLevels = 1000;

char At(std::string_view text, size_t position) {
  return position < text.size() ? text[position] : '\0';
}

// A list or an object.
JsonScan ScanMembers(std::string_view text, size_t position, int level) {
  const char closing = text[position] == '{' ? '}' : ']';
  if (level >= kMostLevels) return {position, false};
  position = AfterBlanks(text, position + 1);
  if (At(text, position) == closing) return {position + 1, true};
  while (true) {
    if (closing == '}') {
      const JsonScan name = ScanText(text, position);
      position = AfterBlanks(text, name.end);
      if (!name.sound || At(text, position) != ':') return {position, false};
      position = AfterBlanks(text, position + 1);
    }
    const JsonScan value = ScanValue(text, position, level + 1);
    if (!value.sound) return value;
    position = AfterBlanks(text, value.end);
    if (At(text, position) == closing) return {position + 1, true};
    if (At(text, position) != ',') return {position, false};
    position = AfterBlanks(text, position + 1);
  }
}

}  // namespace

size_t AfterBlanks(std::string_view text, size_t position) {
  return std::min(text.find_first_not_of(" \t\r\n", position), text.size());
}

JsonScan ScanText(std::string_view text, size_t position) {
  if (At(text, position) != '"') return {position, false};
  for (++position; position < text.size(); ++position) {
    const char c = text[position];
    if (c == '"') return {position + 1, true};
    if (c == '\n') return {position, false};
    if (c == '\\' && At(text, position + 1) != '\n') ++position;
  }
  return {text.size(), false};
}

JsonScan ScanValue(std::string_view text, size_t position, int level) {
  switch (At(text, position)) {
    case '{':
    case '[': return ScanMembers(text, position, level);
    case '"': return ScanText(text, position);
    default: break;
  }
  const size_t end = std::min(text.find_first_of(" \t\r\n,:{}[]\"", position), text.size());
  return {end, end > position};
}

}  // namespace binocle::eval
