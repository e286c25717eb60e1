#include "eval/readers/json_records.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "eval/readers/json_scan.h"

namespace binocle::eval {
namespace {

constexpr int64_t kMostBroken = 10'000;
constexpr size_t kMostNames = 1000;
constexpr size_t kLongestKey = 1000;
constexpr size_t kNone = std::string_view::npos;

std::string_view WithoutBlanksBehind(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

}  // namespace

JsonRecords::JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
                         Problems& problems)
    : file_(file),
      problems_(problems),
      text_(file.text()),
      where_(where),
      member_(member),
      scope_(member.empty() ? Scope::kFile : Scope::kMember),
      is_json_(text_.find('\0') == kNone && Json::accept(text_)) {
  if (scope_ == Scope::kMember && !FindMember())
    ThrowInvalid(where, ": has no ", member, ", expected a list of records there");
  SkipBlanks();
  if (!AtList())
    ThrowInvalid(where, ": ", member.empty() ? "the file" : member, " begins with ",
                 position_ < text_.size() ? Printable(text_.substr(position_, 1)) : "nothing",
                 ", expected a JSON list or object of records");
  OpenList();
}

void JsonRecords::OpenList() {
  opening_ = Peek();
  closing_ = opening_ == '{' ? '}' : ']';
  ++position_;
}

bool JsonRecords::FindMember() {
  Skip('{');
  for (SkipBlanks(); Peek() == '"'; SkipBlanks()) {
    if (TakeKey() == member_) return true;
    const JsonScan value = ScanValue(text_, position_);
    if (!value.sound) {
      // Whatever is broken there, the list may be whole.
      const size_t name = text_.find('"' + member_ + '"', position_);
      if (name == kNone) return false;
      position_ = name;
      continue;
    }
    position_ = value.end;
    Skip(',');
  }
  return false;
}

void JsonRecords::SkipBlanks() { position_ = AfterBlanks(text_, position_); }

bool JsonRecords::Skip(char c) {
  SkipBlanks();
  const bool is_next = Peek() == c;
  if (is_next) ++position_;
  return is_next;
}

// Whether there was one. More than one are reported together.
bool JsonRecords::SkipCommas() {
  if (!Skip(',')) return false;
  SkipBlanks();
  if (Peek() != ',') return true;
  Report("has a comma too many, expected a record");
  while (Skip(',')) {
  }
  return true;
}

std::string JsonRecords::TakeKey() {
  const size_t begin = position_;
  position_ = ScanText(text_, position_).end;
  const std::string_view quoted = text_.substr(begin, position_ - begin);
  Skip(':');
  SkipBlanks();
  const Json key = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  return key.is_string() ? key.get<std::string>() : std::string(quoted);
}

std::string_view JsonRecords::TakeRecord() {
  const size_t begin = position_;
  const JsonScan value = ScanValue(text_, begin);
  const size_t next = AfterBlanks(text_, value.end);
  const char follows = next < text_.size() ? text_[next] : '\0';
  if (is_json_ && value.sound) {
    position_ = value.end;
    return text_.substr(begin, value.end - begin);
  }
  const bool is_object = text_[begin] == '{';
  const size_t swallowed = value.sound && is_object ? FindSwallowed(begin, value.end) : kNone;
  const bool comma_is_missing =
      is_object && (follows == '{' || (opening_ == '{' && BraceBehindKey(next) != kNone));
  const bool ends =
      follows == ',' || follows == closing_ || next == text_.size() || comma_is_missing;
  if (value.sound && ends && is_object && swallowed == kNone && !IsCutAt(next)) {
    position_ = value.end;
    const std::string_view record = text_.substr(begin, value.end - begin);
    Learn(record);
    if (comma_is_missing) Report("a comma is missing between this record and the next");
    return record;
  }
  if (++broken_ > kMostBroken)
    ThrowInvalid(where_, ": has more than ", kMostBroken, " broken records, expected JSON");
  // Only what it holds is wrong; a list is most likely a bracket too many.
  const bool is_apart = value.sound && ends && swallowed == kNone && text_[begin] != '[';
  position_ = is_apart ? value.end : swallowed != kNone ? swallowed : FindRecord(begin);
  if (position_ == text_.size()) position_ = std::max(value.end, begin + 1);
  return WithoutBlanksBehind(text_.substr(begin, position_ - begin));
}

// Whether a comma and members of the record itself follow: it has a brace too many.
bool JsonRecords::IsCutAt(size_t comma) const {
  if (comma >= text_.size() || text_[comma] != ',') return false;
  const size_t name = AfterBlanks(text_, comma + 1);
  const JsonScan scan = ScanText(text_.substr(0, name + kLongestKey), name);
  const size_t colon = AfterBlanks(text_, scan.end);
  if (!scan.sound || colon >= text_.size() || text_[colon] != ':') return false;
  return opening_ == '[' || BraceBehindKey(name) == kNone;
}

size_t JsonRecords::FindRecord(size_t begin) {
  auto indent = IndentOf(begin);
  // The first record may share its line with the list's bracket.
  if (!indent && names_.all.empty()) indent = IndentOfNextLine(begin);
  const size_t on_line = indent ? FindLine(*indent, begin + 1) : text_.size();
  return on_line < text_.size() ? on_line : FindLikeness(begin + 1);
}

std::optional<std::string_view> JsonRecords::IndentOfNextLine(size_t position) const {
  const size_t end = text_.find('\n', position);
  if (end == kNone) return std::nullopt;
  const size_t first = text_.find_first_not_of(" \t", end + 1);
  return text_.substr(end + 1, first == kNone ? 0 : first - end - 1);
}

std::optional<std::string_view> JsonRecords::IndentOf(size_t begin) const {
  const size_t line = begin == 0 ? 0 : text_.rfind('\n', begin - 1) + 1;
  const size_t first = AfterBlanks(text_, line);
  const size_t colon = AfterBlanks(text_, ScanText(text_, first).end);
  const bool is_key = opening_ == '{' && colon < begin && text_[colon] == ':' &&
                      AfterBlanks(text_, colon + 1) == begin;
  if (first != begin && !is_key) return std::nullopt;
  return text_.substr(line, first - line);
}

size_t JsonRecords::FindLine(std::string_view indent, size_t from) {
  if (indent == line_indent_ && line_search_.Has(from)) return line_search_.found;
  line_indent_ = indent;
  line_search_ = {.from = from, .found = text_.size()};
  for (size_t end = text_.find('\n', from); end != kNone; end = text_.find('\n', end + 1)) {
    const size_t begin = end + 1 + indent.size();
    if (text_.substr(end + 1, indent.size()) != indent || begin >= text_.size()) continue;
    if (opening_ == '{' ? BraceBehindKey(begin) == kNone : text_[begin] != '{') continue;
    line_search_.found = begin;
    break;
  }
  return line_search_.found;
}

size_t JsonRecords::FindLikeness(size_t from) {
  if (likeness_search_.Has(from)) return likeness_search_.found;
  likeness_search_ = {.from = from, .found = text_.size()};
  const char first = opening_ == '{' ? '"' : '{';
  for (size_t at = text_.find(first, from); at != kNone; at = text_.find(first, at + 1)) {
    const size_t brace = opening_ == '{' ? BraceBehindKey(at) : at;
    if (brace == kNone || !IsLikeness(brace, names_)) continue;
    likeness_search_.found = at;
    break;
  }
  return likeness_search_.found;
}

bool JsonRecords::IsLikeness(size_t brace, const Names& names) const {
  const JsonScan value = ScanValue(text_, brace);
  if (!value.sound) return false;
  const Json fields = Json::parse(text_.substr(brace, value.end - brace), nullptr,
                                  /*allow_exceptions=*/false);
  if (!fields.is_object() || fields.empty()) return false;
  if (names.all.empty()) return fields.size() >= 2;
  size_t known = 0;
  for (const auto& [name, member] : fields.items()) known += names.all.count(name);
  return 2 * known >= fields.size() && 2 * known >= names.fewest;
}

size_t JsonRecords::BraceBehindKey(size_t position) const {
  const JsonScan key = ScanText(text_.substr(0, position + kLongestKey), position);
  const size_t colon = AfterBlanks(text_, key.end);
  if (!key.sound || colon >= text_.size() || text_[colon] != ':') return kNone;
  const size_t brace = AfterBlanks(text_, colon + 1);
  return brace < text_.size() && text_[brace] == '{' ? brace : kNone;
}

size_t JsonRecords::FindSwallowed(size_t begin, size_t end) const {
  if (opening_ != '{') return kNone;
  const auto indent = IndentOf(begin);
  Names own;  // of the members so far, where no record is known yet
  size_t at = AfterBlanks(text_, begin + 1);
  while (at < end && text_[at] == '"') {
    const size_t brace = BraceBehindKey(at);
    const size_t key_end = ScanText(text_, at).end;
    const size_t value = AfterBlanks(text_, AfterBlanks(text_, key_end) + 1);
    if (brace != kNone && (!indent || IndentOf(brace) == indent) &&
        !(names_.all.empty() && own.all.empty()) &&
        IsLikeness(brace, names_.all.empty() ? own : names_))
      return at;
    own.all.emplace(text_.substr(at + 1, key_end - at - 2));
    own.fewest = own.all.size();
    at = AfterBlanks(text_, AfterBlanks(text_, ScanValue(text_, value).end) + 1);
  }
  return kNone;
}

void JsonRecords::Learn(std::string_view record) {
  if (names_.all.size() >= kMostNames) return;
  const Json fields = Json::parse(record, nullptr, /*allow_exceptions=*/false);
  if (!fields.is_object() || fields.empty()) return;
  const size_t before = names_.all.size();
  const size_t fewest = before == 0 ? fields.size() : std::min(names_.fewest, fields.size());
  for (const auto& [name, value] : fields.items()) names_.all.insert(name);
  if (names_.all.size() != before || fewest != names_.fewest) likeness_search_ = {};
  names_.fewest = fewest;
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
  if (is_json_) return true;
  const size_t behind = position_;
  SkipBlanks();
  bool is_end = position_ >= text_.size();
  if (scope_ == Scope::kMember && !is_end) {
    const bool has_comma = Skip(',');
    SkipBlanks();
    is_end = has_comma ? Peek() == '"' : Peek() == '}';
    if (is_end && has_comma && opening_ == '{' && !names_.all.empty()) {
      const size_t brace = BraceBehindKey(position_);
      is_end = brace == kNone || !IsLikeness(brace, names_);
    }
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
    const std::string key = Peek() == '"' ? TakeKey() : "";
    if (key == member_ && AtList()) {
      Report(member_ + " stands there twice; it is read as more records");
      OpenList();
      return true;
    }
    const JsonScan value = ScanValue(text_, position_);
    position_ = value.end;
    if (!value.sound) {
      if (!is_json_) Report(Printable(key, 60) + " is no JSON; nothing is read from there on");
      return false;
    }
  }
  Skip('}');
  SkipBlanks();
  if (position_ >= text_.size()) return false;
  Report(
      "the file goes on behind its object, expected its end; records there are read as more of the "
      "list");
  Skip(',');
  SkipBlanks();
  if (opening_ == '[' && Peek() == '{' && IsLikeness(position_, names_)) return true;
  if (!FindMember() || !AtList()) return false;
  OpenList();
  return true;
}

std::optional<JsonRecord> JsonRecords::Next() {
  while (!ended_) {
    SkipCommas();
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
      JsonRecord record{.key = {}, .text = {}, .line = line_, .number = ++number_};
      if (opening_ == '{' && Peek() == '"') record.key = TakeKey();
      record.text = TakeRecord();
      return record;
    }
  }
  return std::nullopt;
}

}  // namespace binocle::eval
