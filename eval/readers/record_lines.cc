#include "eval/readers/record_lines.h"

#include <algorithm>

#include "eval/readers/json_scan.h"

namespace binocle::eval {
namespace {

size_t LineBegin(std::string_view text, size_t position) {
  return position == 0 ? 0 : text.rfind('\n', position - 1) + 1;
}

// Blanks in front of the line that begins at `line`.
size_t IndentOf(std::string_view text, size_t line) {
  return std::min(text.find_first_not_of(" \t", line), text.size()) - line;
}

std::string_view LineAt(std::string_view text, size_t position) {
  std::string_view line =
      text.substr(position, std::min(text.find('\n', position), text.size()) - position);
  while (line.ends_with(' ') || line.ends_with('\t') || line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::optional<RecordLines> RecordLines::Detect(std::string_view text, size_t bracket, bool alone) {
  size_t first = AfterBlanks(text, bracket + 1);
  const bool begins_line =
      text.substr(bracket, first - bracket).find('\n') != std::string_view::npos;
  if (!begins_line) first = AfterBlanks(text, std::min(text.find('\n', first), text.size()));
  const size_t line = LineBegin(text, first);
  const size_t indent = first - line;
  const bool deeper = indent > IndentOf(text, LineBegin(text, bracket));
  const bool are_deeper = begins_line && deeper;
  const RecordLines lines(text, indent, text[bracket] == '{', are_deeper, deeper || alone);
  // One of two lines may be the broken one.
  const bool fits = are_deeper || lines.HoldsIt(first) || lines.HoldsIt(lines.NextBehind(first));
  if (!fits || !lines.IsRecord(first)) return std::nullopt;
  return lines;
}

bool RecordLines::HoldsIt(size_t position) const {
  if (!IsRecord(position)) return false;
  std::string_view line = LineAt(text_, position);
  if (line.ends_with(',')) line.remove_suffix(1);
  const size_t value = of_object_ ? ScanName(line, 0).end : 0;
  if (!line.substr(value).starts_with('{')) return false;
  const JsonScan scan = ScanValue(line, value);
  return scan.sound() && scan.end == line.size();
}

bool RecordLines::IsRecord(size_t position) const {
  if (position >= text_.size()) return false;
  // Without a look for the line's begin, which may be far away.
  if (position < indent_ || IndentOf(text_, position - indent_) != indent_) return false;
  if (position > indent_ && text_[position - indent_ - 1] != '\n') return false;
  if (are_alone_) return text_[position] != '}' && text_[position] != ']';
  if (!of_object_) return text_[position] == '{';
  const std::string_view line = LineAt(text_, position);
  const JsonScan name = ScanName(line, 0);
  return name.sound() && line.substr(name.end).starts_with('{');
}

size_t RecordLines::NextBehind(size_t position) const {
  const std::string_view begin = LineAt(text_, position);
  // The end of a record that is not whole on its line. Another such mark is that of the list.
  bool has_end = are_deeper_ && !(begin.ends_with('}') || begin.ends_with("},"));
  for (size_t end = text_.find('\n', position); end != std::string_view::npos;
       end = text_.find('\n', end + 1)) {
    const size_t indent = IndentOf(text_, end + 1);
    const size_t first = end + 1 + indent;
    if (first >= text_.size()) break;
    if (indent > indent_ || text_[first] == '\n' || text_[first] == '\r') continue;
    if (!(has_end && indent == indent_ && text_[first] == '}')) return first;
    has_end = false;
  }
  return text_.size();
}

}  // namespace binocle::eval
