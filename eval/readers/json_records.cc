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

JsonRecords::JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
                         Problems& problems)
    : file_(file),
      problems_(problems),
      text_(file.text()),
      scope_(member.empty() ? Scope::kFile : Scope::kMember) {
  if (scope_ == Scope::kMember) FindMember(where, member);
  SkipBlanks();
  if (Peek() != '[' && Peek() != '{')
    ThrowInvalid(where, ": ", member.empty() ? "the file" : member, " begins with ",
                 position_ < text_.size() ? Printable(text_.substr(position_, 1)) : "nothing",
                 ", expected a JSON list or object of records");
  opening_ = Peek();
  closing_ = opening_ == '{' ? '}' : ']';
  ++position_;
}

void JsonRecords::FindMember(const std::string& where, std::string_view member) {
  Skip('{');
  for (SkipBlanks(); Peek() == '"'; SkipBlanks()) {
    if (TakeKey() == member) return;
    TakeValue('}');
    Skip(',');
  }
  ThrowInvalid(where, ": has no ", member, ", expected a list of records there");
}

void JsonRecords::SkipBlanks() {
  position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size());
}

bool JsonRecords::Skip(char c) {
  SkipBlanks();
  const bool is_next = Peek() == c;
  if (is_next) ++position_;
  return is_next;
}

std::string JsonRecords::TakeKey() {
  const size_t begin = position_;
  position_ = SkipText(text_, position_);
  const std::string_view quoted = text_.substr(begin, position_ - begin);
  Skip(':');
  SkipBlanks();
  const Json key = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  return key.is_string() ? key.get<std::string>() : std::string(quoted);
}

// Up to a comma or `closing` outside of all brackets. A closing bracket closes what was opened last with its kind, and where none was it is
// passed over: whoever parses the record finds it.
std::string_view JsonRecords::TakeValue(char closing) {
  const size_t begin = position_;
  std::string open;  // what would close each bracket that is open
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (open.empty() && (c == ',' || c == closing)) break;
    if (c == '"') {
      position_ = SkipText(text_, position_);
      continue;
    }
    if (c == '{') open += '}';
    if (c == '[') open += ']';
    if (c == '}' || c == ']') {
      if (const size_t at = open.rfind(c); at != std::string::npos) open.resize(at);
    }
    ++position_;
  }
  size_t end = position_;
  while (end > begin && std::string_view(" \t\r\n").find(text_[end - 1]) != std::string_view::npos)
    --end;
  return text_.substr(begin, end - begin);
}

void JsonRecords::CountLines() {
  line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_),
                      text_.begin() + static_cast<std::ptrdiff_t>(position_), '\n');
  counted_ = position_;
}

void JsonRecords::Report(const std::string& what) {
  CountLines();
  problems_.Add(Damage::kSyntax, file_.Place(line_), what);
}

bool JsonRecords::IsEnd() {
  const size_t behind = position_;
  SkipBlanks();
  bool is_end = position_ >= text_.size();
  if (scope_ == Scope::kMember && !is_end) {
    const bool has_comma = Skip(',');
    SkipBlanks();
    is_end = has_comma ? Peek() == '"' : Peek() == '}';
  }
  position_ = behind;
  if (is_end) return true;
  Report(std::string("a ") + closing_ +
         " closes the list before the end of the file; what follows is read as more of it");
  Skip(',');
  Skip(opening_);
  return false;
}

// What follows the list in its object, up to the end of the file.
void JsonRecords::PassOtherMembers() {
  while (Skip(',')) {
    SkipBlanks();
    if (Peek() == '"') TakeKey();
    TakeValue('}');
  }
  Skip('}');
  SkipBlanks();
  if (position_ < text_.size()) Report("the file goes on behind its object, expected its end");
}

std::optional<JsonRecord> JsonRecords::Next() {
  while (!ended_) {
    Skip(',');
    SkipBlanks();
    CountLines();
    if (position_ >= text_.size()) {
      Report(std::string("the file ends within the list, expected ") + closing_);
      ended_ = true;
    } else if (Peek() == closing_) {
      ++position_;
      ended_ = IsEnd();
      if (ended_ && scope_ == Scope::kMember) PassOtherMembers();
    } else {
      JsonRecord record{.line = line_, .number = ++number_};
      if (opening_ == '{' && Peek() == '"') record.key = TakeKey();
      record.text = TakeValue(closing_);
      return record;
    }
  }
  return std::nullopt;
}

}  // namespace binocle::eval
