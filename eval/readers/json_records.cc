#include "eval/readers/json_records.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "eval/readers/json_scan.h"

namespace binocle::eval {
namespace {

// Of a text that may hold more than one value, up to its first fault.
JsonScan ScanWhole(std::string_view text) {
  JsonScan whole = ScanValue(text, AfterBlanks(text, 0));
  if (!whole.sound()) return whole;
  whole.end = AfterBlanks(text, whole.end);
  if (whole.end < text.size()) whole.expected = "the end of the file";
  return whole;
}

std::string TextOfName(std::string_view quoted) {
  const Json name = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  return name.is_string() ? name.get<std::string>() : std::string(quoted);
}

}  // namespace

JsonRecords::JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
                         const ReaderLimits& limits, Problems& problems)
    : file_(file),
      problems_(problems),
      limits_(limits),
      text_(file.text()),
      where_(where),
      member_(member),
      whole_(ScanWhole(text_)) {
  SkipBlanks();
  if (!member_.empty() && !FindMember() && (whole_.sound() || !FindMemberBehindFault()))
    FailWithoutList();
  if (!AtList())
    ThrowInvalid(where, ": ", member.empty() ? "the file" : member, " begins with ",
                 position_ < text_.size() ? Printable(text_.substr(position_, 1)) : "nothing",
                 ", expected a JSON list or object of records");
  OpenList();
}

// Names in objects within other members are passed with these.
bool JsonRecords::FindMember() {
  if (Peek() != '{') return false;
  ++position_;
  while (true) {
    SkipBlanks();
    const size_t begin = position_;
    const JsonScan name = ScanName(text_, begin);
    if (!name.sound()) return false;
    position_ = name.end;
    const std::string_view quoted = text_.substr(begin, ScanText(text_, begin).end - begin);
    if (TextOfName(quoted) == member_) return true;
    const JsonScan value = ScanValue(text_, position_);
    if (!value.sound()) return false;
    position_ = AfterBlanks(text_, value.end);
    if (Peek() != ',') return false;
    ++position_;
  }
}

// What is in front of the list is broken. Where its name begins a list once and nowhere else, that is the list.
bool JsonRecords::FindMemberBehindFault() {
  const std::string quoted = '"' + member_ + '"';
  std::optional<size_t> found;
  for (size_t at = text_.find(quoted); at != std::string_view::npos;
       at = text_.find(quoted, at + 1)) {
    const JsonScan name = ScanName(text_, at);
    if (!name.sound() || name.end >= text_.size() || text_[name.end] != '[') continue;
    if (found) return false;
    found = name.end;
  }
  if (!found) return false;
  position_ = *found;
  return true;
}

void JsonRecords::FailWithoutList() const {
  const int64_t line =
      1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(whole_.end), '\n');
  if (whole_.sound())
    ThrowInvalid(where_, ": has no ", member_, ", expected a list of records there");
  ThrowInvalid(where_, ":", line, ": not valid JSON: expected ", whole_.expected,
               "; no list of records called ", member_, " can be told from what else is there");
}

void JsonRecords::OpenList() {
  opening_ = Peek();
  closing_ = opening_ == '{' ? '}' : ']';
  if (!whole_.sound()) {
    lines_ = RecordLines::Detect(text_, position_, member_.empty());
    // One that merely ends too early is sound up to there.
    if (opening_ == '{' && !lines_ && whole_.end < text_.size())
      ThrowInvalid(
          file_.Place(LineOf(whole_.end)), ": not valid JSON: expected ", whole_.expected,
          "; records of an object that do not begin lines of their own cannot be told from "
          "what is in them");
  }
  ++position_;
}

int64_t JsonRecords::LineOf(size_t position) {
  if (position < counted_) {
    line_ = 1;
    counted_ = 0;
  }
  line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_),
                      text_.begin() + static_cast<std::ptrdiff_t>(position), '\n');
  counted_ = position;
  return line_;
}

void JsonRecords::Note(const std::string& what) {
  told_ = true;
  problems_.Add(Damage::kNote, file_.Place(LineOf(position_)), what);
}

// A fault that costs records, nobody knows how many.
void JsonRecords::Lose(const std::string& what) {
  told_ = true;
  problems_.Add(Damage::kSyntax, file_.Place(LineOf(position_)), what);
}

bool JsonRecords::FindRecord() {
  for (int64_t commas = 0; !ended_;) {
    SkipBlanks();
    if (lines_ && position_ >= limit_ && number_ > 0 && position_ < text_.size()) {
      if (lines_->IsRecord(position_)) return TakeLine(commas > 0);
      if (Peek() != closing_) {
        Lose(std::string("expected ") + closing_ + " in front of this; what follows is not read");
        ended_ = true;
        break;
      }
    }
    if (Peek() == ',') {
      if (++commas > 1 || number_ == 0) Note("has a comma too many, expected a record");
      ++position_;
    } else if (Peek() == closing_) {
      if (commas > 0) Note("has a comma too many, expected a record");
      CloseList();
    } else if (position_ >= text_.size()) {
      Lose(std::string("the file ends within the list, expected ") + closing_);
      ended_ = true;
    } else {
      if (needs_comma_ && commas == 0) Note("a comma is missing in front of this record");
      return true;
    }
  }
  return false;
}

// At a line of a record. Some put the comma there.
bool JsonRecords::TakeLine(bool has_comma) {
  const size_t behind = AfterBlanks(text_, position_ + 1);
  const bool comma_first = Peek() == ',' && At(behind) == (opening_ == '{' ? '"' : '{');
  if (comma_first) position_ = behind;
  if (needs_comma_ && !has_comma && !comma_first)
    Note("a comma is missing in front of this record");
  return true;
}

bool JsonRecords::EndsList(size_t behind) const {
  if (member_.empty()) return behind == text_.size();
  if (At(behind) == '}') return true;
  const size_t name = AfterBlanks(text_, behind + 1);
  if (At(behind) != ',' || !ScanName(text_, name).sound()) return false;
  // A member that is laid out as the records are is one more of them.
  return !(opening_ == '{' && lines_ && lines_->are_deeper() && lines_->IsRecord(name));
}

// In a file that is JSON.
void JsonRecords::NoteSecondList() {
  if (member_.empty()) return;
  for (SkipBlanks(); Peek() == ','; SkipBlanks()) {
    position_ = AfterBlanks(text_, position_ + 1);
    const std::string_view name =
        text_.substr(position_, ScanText(text_, position_).end - position_);
    if (TextOfName(name) == member_) Note(member_ + " stands there twice; the first one is read");
    position_ = ScanValue(text_, ScanName(text_, position_).end).end;
  }
}

void JsonRecords::CloseList() {
  const size_t behind = AfterBlanks(text_, ++position_);
  ended_ = true;
  if (whole_.sound()) return NoteSecondList();
  if (!EndsList(behind)) {
    const size_t next = At(behind) == ',' ? AfterBlanks(text_, behind + 1) : behind;
    const bool goes_on = lines_ && lines_->IsRecord(next);
    const size_t line = goes_on ? next : lines_ ? lines_->NextBehind(position_) : text_.size();
    ended_ = !lines_ || !lines_->IsRecord(line);
    const std::string what = std::string("a ") + closing_ +
                             " closes the list and the file goes on; what follows is " +
                             (ended_    ? "not read"
                              : goes_on ? "read as more of it"
                                        : "read as more of it from the next line on");
    goes_on ? Note(what) : Lose(what);
    needs_comma_ = false;
    position_ = line;
  } else if (!told_) {
    position_ = whole_.end;
    const std::string what = std::string("not valid JSON: expected ") + whole_.expected;
    // A member of the object around the list may be one of its own, cut off by a } too many.
    const bool sure = opening_ == '[' || (lines_ && lines_->are_deeper());
    sure ? Note(what + "; the list is read as it is") : Lose(what + "; the list may end too early");
  }
}

bool JsonRecords::BeginsRecord(size_t position) const {
  if (opening_ == '[') return At(position) == '{';
  if (lines_) return lines_->IsRecord(position);
  const JsonScan name = ScanName(text_, position);
  return name.sound() && At(name.end) == '{';
}

const char* JsonRecords::FaultBehind(const Element& element, size_t position) const {
  const size_t next = AfterBlanks(text_, position);
  if (next >= text_.size() || At(next) == closing_) return nullptr;
  const bool comma = At(next) == ',';
  const size_t record = comma ? AfterBlanks(text_, next + 1) : next;
  if (record >= limit_ || At(record) == closing_) return nullptr;
  if (opening_ == '{' && lines_) return "a comma and the next record on a line of its own";
  if (BeginsRecord(record) && (comma || element.text[0] == '{')) return nullptr;
  if (!comma || opening_ == '{') return "a comma and a record, or the list's end";
  // A number, say, which is no record but a value; not a name, which shows a } too many.
  const JsonScan value = ScanValue(text_, record);
  const char behind = At(AfterBlanks(text_, value.end));
  return value.sound() && (behind == ',' || behind == ']') ? nullptr : "a record";
}

std::optional<JsonRecords::Element> JsonRecords::TakeElement(const std::string& place) {
  const size_t begin = position_;
  if (begin >= limit_) limit_ = lines_ ? lines_->NextBehind(begin) : text_.size();
  const std::string_view text = text_.substr(0, limit_);
  Element element;
  JsonScan scan{begin};
  if (opening_ == '{') {
    scan = ScanName(text, begin);
    if (scan.sound()) element.key = text.substr(begin, ScanText(text, begin).end - begin);
  }
  if (scan.sound()) {
    const size_t value = scan.end;
    scan = ScanValue(text, value);
    if (scan.sound()) element.text = text.substr(value, scan.end - value);
  }
  position_ = scan.end;
  needs_comma_ = true;
  if (whole_.sound()) return element;
  if (scan.sound()) scan.expected = FaultBehind(element, scan.end);
  if (scan.sound()) return element;
  ReportBroken(begin, scan, place);
  // The next one may be on the same line only where records need not begin lines.
  position_ = limit_;
  needs_comma_ = false;
  ended_ = !lines_ || !(lines_->IsRecord(limit_) || At(limit_) == closing_);
  return std::nullopt;
}

void JsonRecords::ReportBroken(size_t begin, const JsonScan& scan, const std::string& place) {
  told_ = true;
  std::string what = "not valid JSON: expected " + std::string(scan.expected);
  const auto at = text_.begin() + static_cast<std::ptrdiff_t>(begin);
  const int64_t lines = std::count(
      at, at + static_cast<std::ptrdiff_t>(std::min(scan.end, text_.size()) - begin), '\n');
  if (lines > 0) what += " in line " + std::to_string(LineOf(begin) + lines);
  if (!lines_) {
    what += "; where records share lines it cannot be told where the next one begins: " +
            std::to_string(text_.size() - begin) + " bytes are not read";
  }
  problems_.Add(Damage::kSyntax, place, what);
}

std::optional<JsonRecord> JsonRecords::Next() {
  while (FindRecord()) {
    JsonRecord record;
    record.number = ++number_;
    record.place = file_.Place(LineOf(position_)) + ": record " + std::to_string(number_);
    const std::optional<Element> element = TakeElement(record.place);
    if (!element) continue;
    if (element->text.size() > limits_.row_bytes) {
      problems_.AddTooLong(record.place, element->text.size(), limits_.row_bytes);
      continue;
    }
    auto fields = ParseRecord(element->text, record.place, problems_);
    if (!fields) {
      told_ = true;
      continue;
    }
    record.fields = std::move(*fields);
    record.text = element->text;
    record.key = TextOfName(element->key);
    return record;
  }
  return std::nullopt;
}

}  // namespace binocle::eval
