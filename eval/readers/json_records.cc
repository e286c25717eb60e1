#include "eval/readers/json_records.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"

namespace binocle::eval {
namespace {

// The place after the text that begins at `position`, or the end of its line.
size_t SkipText(std::string_view json, size_t position) {
  for (++position; position < json.size(); ++position) {
    const char c = json[position];
    if (c == '\\' && position + 1 < json.size() && json[position + 1] != '\n') {
      ++position;
    } else if (c == '"') {
      return position + 1;
    } else if (c == '\n') {
      return position;
    }
  }
  return position;
}

}  // namespace

JsonRecords::JsonRecords(std::string_view text, const std::string& where, std::string_view member)
    : text_(text) {
  SkipBlanks();
  if (!member.empty()) {
    bool found = false;
    if (Peek() == '{') ++position_;
    for (SkipBlanks(); !found && Peek() == '"'; SkipBlanks()) {
      found = TakeKey() == member;
      if (found) break;
      TakeValue();
      SkipBlanks();
      if (Peek() == ',') ++position_;
    }
    if (!found) ThrowInvalid(where, ": has no ", member, ", expected a list of records there");
  }
  SkipBlanks();
  if (Peek() != '[' && Peek() != '{')
    ThrowInvalid(where, ": ", member.empty() ? "the file" : member, " begins with ",
                 position_ < text_.size() ? Printable(text_.substr(position_, 1)) : "nothing",
                 ", expected a JSON list or object of records");
  is_object_ = Peek() == '{';
  ++position_;
}

void JsonRecords::SkipBlanks() {
  position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size());
}

std::string JsonRecords::TakeKey() {
  const size_t begin = position_;
  position_ = SkipText(text_, position_);
  const std::string_view quoted = text_.substr(begin, position_ - begin);
  SkipBlanks();
  if (Peek() == ':') ++position_;
  SkipBlanks();
  const Json key = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  return key.is_string() ? key.get<std::string>() : std::string(quoted);
}

std::string_view JsonRecords::TakeValue() {
  const size_t begin = position_;
  int64_t depth = 0;
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (depth == 0 && (c == ',' || c == ']' || c == '}')) break;
    if (c == '"') {
      position_ = SkipText(text_, position_);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++position_;
  }
  size_t end = position_;
  while (end > begin && std::string_view(" \t\r\n").find(text_[end - 1]) != std::string_view::npos)
    --end;
  return text_.substr(begin, end - begin);
}

std::optional<JsonRecord> JsonRecords::Next() {
  if (closed_) return std::nullopt;
  SkipBlanks();
  if (Peek() == ',') {
    ++position_;
    SkipBlanks();
  }
  line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_),
                      text_.begin() + static_cast<std::ptrdiff_t>(position_), '\n');
  counted_ = position_;
  if (Peek() == ']' || Peek() == '}') closed_ = true;
  if (closed_ || position_ >= text_.size()) return std::nullopt;
  JsonRecord record{.line = line_, .number = ++number_};
  if (is_object_ && Peek() == '"') record.key = TakeKey();
  record.text = TakeValue();
  return record;
}

}  // namespace binocle::eval
