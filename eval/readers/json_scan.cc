#include "eval/readers/json_scan.h"

#include <algorithm>
#include <vector>

namespace binocle::eval {
namespace {

char At(std::string_view text, size_t position) {
  return position < text.size() ? text[position] : '\0';
}

}  // namespace

size_t AfterBlanks(std::string_view text, size_t position) {
  return std::min(text.find_first_not_of(" \t\r\n", position), text.size());
}

JsonScan ScanText(std::string_view text, size_t position) {
  if (At(text, position) != '"') return {position, "a text in double quotes"};
  for (++position; position < text.size(); ++position) {
    const char c = text[position];
    if (c == '"') return {position + 1};
    if (c == '\n') break;
    if (c == '\\' && At(text, position + 1) != '\n') ++position;
  }
  return {std::min(position, text.size()), "the text's closing quote on its line"};
}

JsonScan ScanName(std::string_view text, size_t position) {
  const JsonScan name = ScanText(text, position);
  if (!name.sound()) return name;
  const size_t colon = AfterBlanks(text, name.end);
  if (At(text, colon) != ':') return {colon, "a colon behind the name"};
  return {AfterBlanks(text, colon + 1)};
}

JsonScan ScanValue(std::string_view text, size_t position) {
  std::vector<bool> open;  // lists and objects (true) around this place
  while (true) {
    const char first = At(text, position);
    bool begins = first == '{' || first == '[';  // with something in it
    if (begins) {
      open.push_back(first == '{');
      position = AfterBlanks(text, position + 1);
      begins = At(text, position) != (open.back() ? '}' : ']');
    } else {
      JsonScan value{std::min(text.find_first_of(" \t\r\n,:{}[]\"", position), text.size())};
      if (first == '"') {
        value = ScanText(text, position);
      } else if (value.end == position) {
        value.expected = "a value";
      }
      if (!value.sound()) return value;
      position = value.end;
    }
    while (!begins) {  // a value or an opening mark lies behind: a comma, or ends
      if (open.empty()) return {position};
      position = AfterBlanks(text, position);
      if (At(text, position) == (open.back() ? '}' : ']')) {
        open.pop_back();
        ++position;
      } else if (At(text, position) == ',') {
        position = AfterBlanks(text, position + 1);
        begins = true;
      } else {
        return {position, open.back() ? "a comma or }" : "a comma or ]"};
      }
    }
    if (!open.back()) continue;
    const JsonScan name = ScanName(text, position);
    if (!name.sound()) return name;
    position = name.end;
  }
}

}  // namespace binocle::eval
