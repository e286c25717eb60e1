#include "eval/readers/json_records.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"

namespace binocle::eval {
namespace {

constexpr const char* kEndOfFile = "the end of the file";

// Of a text that may hold more than one value.
JsonScan ScanWhole(std::string_view text) {
  JsonScan whole = ScanValue(text, AfterBlanks(text, 0));
  if (!whole.sound()) return whole;
  whole.end = AfterBlanks(text, whole.end);
  if (whole.end < text.size()) whole.expected = kEndOfFile;
  return whole;
}

// What a name in quotes says; nothing where it is no text.
std::optional<std::string> TextOfName(std::string_view quoted) {
  const Json name = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  if (!name.is_string()) return std::nullopt;
  return name.get<std::string>();
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
  position_ = AfterBlanks(text_, 0);
  if (!member_.empty()) FindMember();
  opening_ = At(position_);
  if (opening_ != '[' && opening_ != '{')
    ThrowInvalid(where, ": ", member.empty() ? "the file" : member, " begins with ",
                 position_ < text_.size() ? Printable(text_.substr(position_, 1)) : "nothing",
                 ", expected a JSON list or object of records");
  if (opening_ == '{' && !whole_.sound())
    FailAtFault("and records of an object cannot be told from what is in them then");
  ++position_;
}

void JsonRecords::FailAtFault(const std::string& rest) const {
  const auto begin = text_.begin();
  const auto line = 1 + std::count(begin, begin + static_cast<std::ptrdiff_t>(whole_.end), '\n');
  ThrowInvalid(where_, ":", line, ": not valid JSON: expected ", whole_.expected, "; ", rest);
}

void JsonRecords::FindMember() {
  const auto found = At(position_) == '{' ? ValueOfMember(position_ + 1) : std::nullopt;
  if (!found) {
    if (!whole_.sound()) FailAtFault("in front of a list called " + member_);
    ThrowInvalid(where_, ": has no ", member_, ", expected a list of records there");
  }
  position_ = *found;
  // The file's object was closed too early, perhaps in front of the list: this one may be another's.
  if (whole_.expected == kEndOfFile)
    FailAtFault("and a list called " + member_ + " cannot be told from others then");
  // JSON's own readers take the second one, in silence.
  const size_t comma = AfterBlanks(text_, ScanValue(text_, position_).end);
  if (whole_.sound() && At(comma) == ',' && ValueOfMember(comma + 1))
    ThrowInvalid(where_, ": has ", member_, " twice, expected one list");
}

// Names in objects within other members are passed with these.
std::optional<size_t> JsonRecords::ValueOfMember(size_t at) const {
  while (true) {
    at = AfterBlanks(text_, at);
    const std::string_view name = text_.substr(at, ScanText(text_, at).end - at);
    const JsonScan value = ScanName(text_, at);
    if (!value.sound()) return std::nullopt;
    if (TextOfName(name) == member_) return value.end;
    const JsonScan passed = ScanValue(text_, value.end);
    const size_t comma = AfterBlanks(text_, passed.end);
    if (!passed.sound() || At(comma) != ',') return std::nullopt;
    at = comma + 1;
  }
}

int64_t JsonRecords::LineOf(size_t position) {
  line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_),
                      text_.begin() + static_cast<std::ptrdiff_t>(position), '\n');
  counted_ = position;
  return line_;
}

// A record in front of the fault itself may be a part of one: `{"a": 1} "b": 2}`, and `{"a": 1}, "b": 2}` with the fault at the colon.
bool JsonRecords::IsCutAt(size_t behind) const {
  if (whole_.sound() || whole_.end == text_.size()) return false;
  const size_t comma = AfterBlanks(text_, behind);
  if (comma == whole_.end) return true;
  if (At(comma) != ',' || At(whole_.end) != ':') return false;
  const size_t name = AfterBlanks(text_, comma + 1);
  return AfterBlanks(text_, ScanText(text_, name).end) == whole_.end;
}

// Up to the first fault there is a comma between records, and behind the last one the list's end.
std::optional<JsonRecords::Element> JsonRecords::TakeElement() {
  Element element;
  size_t begin = position_;
  if (opening_ == '{') {
    const JsonScan name = ScanName(text_, begin);
    if (!name.sound()) return std::nullopt;
    element.key = text_.substr(begin, ScanText(text_, begin).end - begin);
    begin = name.end;
  }
  const JsonScan value = ScanValue(text_, begin);
  if (!value.sound() || IsCutAt(value.end)) return std::nullopt;
  element.text = text_.substr(begin, value.end - begin);
  position_ = value.end;
  return element;
}

// Tells of a fault, wherever it is: one behind the list may be the list's, whose end came too early.
void JsonRecords::End(size_t behind) {
  ended_ = true;
  if (whole_.sound()) return;
  const auto unread = static_cast<int64_t>(text_.size() - behind);
  problems_.Add(
      Damage::kSyntax, file_.Place(LineOf(whole_.end)),
      internal::Concat("not valid JSON: expected ", whole_.expected, "; what is behind record ",
                       number_, " is not read: ", unread, " bytes"));
  problems_.AddUnread(unread);
}

std::optional<JsonRecord> JsonRecords::Next() {
  const char closing = opening_ == '{' ? '}' : ']';
  while (!ended_) {
    const size_t behind = position_;
    position_ = AfterBlanks(text_, position_);
    if (number_ > 0 && At(position_) == ',' && position_ < whole_.end)
      position_ = AfterBlanks(text_, position_ + 1);
    const bool at_end = At(position_) == closing || (!whole_.sound() && position_ >= whole_.end);
    const size_t begin = position_;
    const std::optional<Element> element = at_end ? std::nullopt : TakeElement();
    if (!element) {
      End(behind);
      break;
    }
    JsonRecord record;
    record.number = ++number_;
    record.place = file_.Place(LineOf(begin)) + ": record " + std::to_string(number_);
    const size_t bytes = element->key.size() + element->text.size();
    if (bytes > limits_.row_bytes) {
      problems_.AddTooLong(record.place, bytes, limits_.row_bytes);
      continue;
    }
    const std::optional<std::string> key = TextOfName(element->key);
    if (!element->key.empty() && !key) {
      problems_.Add(Damage::kEncoding, record.place, "its key is no text of UTF-8");
      continue;
    }
    auto fields = ParseRecord(element->text, record.place, problems_);
    if (!fields) continue;
    record.key = key.value_or("");
    record.fields = std::move(*fields);
    record.text = element->text;
    return record;
  }
  return std::nullopt;
}

}  // namespace binocle::eval
