#include "eval/readers/json_records.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"

namespace binocle::eval {
namespace {

constexpr size_t kLongestName = 1000;
constexpr std::string_view kBlanks = " \t\r\n";

struct TextEnd {
  size_t position;  // behind the text, or the end of its line
  bool closed;
};

TextEnd EndOfText(std::string_view json, size_t position) {
  for (++position; position < json.size(); ++position) {
    const char c = json[position];
    if (c == '\\' && position + 1 < json.size() && json[position + 1] != '\n') {
      ++position;
    } else if (c == '"') {
      return {position + 1, true};
    } else if (c == '\n') {
      return {position, false};
    }
  }
  return {json.size(), false};
}

}  // namespace

JsonRecords::JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
                         Problems& problems)
    : file_(file),
      problems_(problems),
      text_(file.text()),
      scope_(member.empty() ? Scope::kFile : Scope::kMember),
      member_(member),
      suspicious_(!Json::accept(text_)) {
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

size_t JsonRecords::AfterBlanks(size_t position) const {
  return std::min(text_.find_first_not_of(kBlanks, position), text_.size());
}

void JsonRecords::SkipBlanks() { position_ = AfterBlanks(position_); }

bool JsonRecords::Skip(char c) {
  SkipBlanks();
  const bool is_next = Peek() == c;
  if (is_next) ++position_;
  return is_next;
}

std::string JsonRecords::TakeKey() {
  const size_t begin = position_;
  position_ = EndOfText(text_, position_).position;
  const std::string_view quoted = text_.substr(begin, position_ - begin);
  Skip(':');
  SkipBlanks();
  const Json key = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  return key.is_string() ? key.get<std::string>() : std::string(quoted);
}

// Up to a comma or `closing` outside of all brackets, or to another record behind its object. A closing bracket closes what was opened last
// with its kind, and where none was it is passed over.
JsonRecords::Value JsonRecords::TakeValue(char closing) {
  const size_t begin = position_;
  std::string open;  // what would close each bracket that is open
  bool sound = Peek() == '{';
  bool ended = false;
  while (position_ < text_.size() && !ended) {
    const char c = text_[position_];
    if (open.empty() && (c == ',' || c == closing)) break;
    if (c == '"') {
      const TextEnd end = EndOfText(text_, position_);
      sound = sound && end.closed;
      position_ = end.position;
      continue;
    }
    if (c == '{' && position_ > begin &&
        (open.empty() || (suspicious_ && has_learnt_ && LooksLikeRecord(position_)))) {
      position_ = std::max(WithKeyBefore(position_), begin + 1);
      sound = false;
      break;
    }
    if (c == '{') open += '}';
    if (c == '[') open += ']';
    ++position_;
    if (c != '}' && c != ']') continue;
    const size_t at = open.rfind(c);
    sound = sound && at != std::string::npos && at + 1 == open.size();
    if (at != std::string::npos) open.resize(at);
    const size_t next = AfterBlanks(position_);
    ended = open.empty() && c == '}' && next < text_.size() &&
            (text_[next] == '{' || (closing == '}' && text_[next] == '"'));
  }
  sound = sound && open.empty() && position_ < text_.size();
  const std::string_view text = text_.substr(begin, position_ - begin);
  return {text.substr(0, text.find_last_not_of(kBlanks) + 1), sound};
}

std::string_view JsonRecords::TakeRecord() {
  const size_t begin = position_;
  const Value value = TakeValue(closing_);
  if (!has_learnt_) Learn(value);
  if (value.sound || !suspicious_) return value.text;
  const size_t next = FindRecord(begin + 1);
  // Where a record's brace is missing its members look like more records, of no objects.
  const bool lost_its_brace = opening_ == '{' && text_[begin] != '{' && next < text_.size();
  if (next >= position_ && !lost_its_brace) return value.text;
  position_ = next;
  return text_.substr(begin, next - begin);
}

JsonRecords::Member JsonRecords::MemberAt(size_t position) const {
  const size_t begin = AfterBlanks(position);
  if (begin >= text_.size() || text_[begin] != '"') return {};
  const TextEnd end = EndOfText(text_.substr(0, begin + kLongestName), begin);
  const size_t colon = AfterBlanks(end.position);
  if (!end.closed || colon >= text_.size() || text_[colon] != ':') return {};
  return {text_.substr(begin, end.position - begin), AfterBlanks(colon + 1)};
}

// The one behind `member`, where its value is a text or a number.
JsonRecords::Member JsonRecords::MemberAfter(const Member& member) const {
  const std::string_view near = text_.substr(0, member.value + kLongestName);
  const bool is_text = member.value < near.size() && near[member.value] == '"';
  const size_t end =
      is_text ? EndOfText(near, member.value).position : near.find_first_of(",}]\n", member.value);
  const size_t comma = AfterBlanks(std::min(end, near.size()));
  if (comma >= text_.size() || text_[comma] != ',') return {};
  return MemberAt(comma + 1);
}

void JsonRecords::Learn(const Value& record) {
  const Member first = MemberAt(static_cast<size_t>(record.text.data() - text_.data()) + 1);
  const Json fields = Json::parse(record.text, nullptr, /*allow_exceptions=*/false);
  has_learnt_ = record.sound && fields.is_object() && fields.size() >= 2;
  first_name_ = first.name;
  other_names_.clear();
  if (has_learnt_) {
    for (const auto& [name, value] : fields.items()) other_names_.insert('"' + name + '"');
    other_names_.erase(std::string(first_name_));
  } else if (!first.name.empty()) {
    if (const Member second = MemberAfter(first); !second.name.empty())
      other_names_.emplace(second.name);
  }
}

bool JsonRecords::LooksLikeRecord(size_t brace) const {
  const Member first = MemberAt(brace + 1);
  if (first.name.empty()) return false;
  if (first_name_.empty()) return true;
  if (first.name != first_name_) return false;
  const char value = first.value < text_.size() ? text_[first.value] : '\0';
  return other_names_.empty() || value == '{' || value == '[' ||
         other_names_.contains(std::string(MemberAfter(first).name));
}

size_t JsonRecords::FindRecord(size_t from) {
  if (from >= searched_from_ && from <= next_record_) return next_record_;
  searched_from_ = from;
  size_t brace = text_.find('{', from);
  while (brace != std::string_view::npos && !LooksLikeRecord(brace))
    brace = text_.find('{', brace + 1);
  next_record_ = brace == std::string_view::npos ? text_.size() : WithKeyBefore(brace);
  return next_record_ = std::max(next_record_, from);
}

// Where `"key" :` in front of it begins, in an object of records.
size_t JsonRecords::WithKeyBefore(size_t brace) const {
  if (opening_ != '{') return brace;
  const auto before = [&](size_t position) {
    return text_.find_last_not_of(kBlanks, position - 1);
  };
  const size_t colon = before(brace);
  if (colon == std::string_view::npos || colon == 0 || text_[colon] != ':') return brace;
  const size_t quote = before(colon);
  if (quote == std::string_view::npos || quote == 0 || text_[quote] != '"') return brace;
  const size_t begin = text_.rfind('"', quote - 1);
  return begin != std::string_view::npos && quote - begin < kLongestName ? begin : brace;
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
    // Another member whose value looks like a record is one.
    if (is_end && has_comma && opening_ == '{' && !first_name_.empty())
      is_end = FindRecord(position_) != position_;
  }
  position_ = behind;
  if (is_end) return true;
  Report(std::string("a ") + closing_ +
         " closes the list before the end of the file; what follows is read as more of it");
  Skip(',');
  Skip(opening_);
  return false;
}

bool JsonRecords::PassOtherMembers() {
  while (Skip(',')) {
    SkipBlanks();
    if (Peek() == '"' && TakeKey() == member_ && (Peek() == '[' || Peek() == '{')) {
      Report(member_ + " stands there twice; it is read as more records");
      opening_ = Peek();
      closing_ = opening_ == '{' ? '}' : ']';
      ++position_;
      return true;
    }
    TakeValue('}');
  }
  Skip('}');
  SkipBlanks();
  if (position_ >= text_.size()) return false;
  Report(
      "the file goes on behind its object, expected its end; what looks like records is read as "
      "more of them");
  position_ = FindRecord(position_);
  return position_ < text_.size();
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
      if (ended_ && scope_ == Scope::kMember) ended_ = !PassOtherMembers();
    } else {
      JsonRecord record{.line = line_, .number = ++number_};
      if (opening_ == '{' && Peek() == '"') record.key = TakeKey();
      record.text = TakeRecord();
      return record;
    }
  }
  return std::nullopt;
}

}  // namespace binocle::eval
