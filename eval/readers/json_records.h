// The records of a JSON file, one at a time: the elements of a list, or the members of an object whose values are objects.
//
//   {"info": …, "questions": [{"question_id": 1, …}, …]}     JsonRecords(source, "questions")
//   {"201307251": {"question": …}, …}                         JsonRecords(source, "")
//
// Where brackets, quotes and commas are sound, every record is what it is, and damage within one (bytes, numbers, names given twice, depth,
// length) costs it alone. Where they are not, the first fault leaves open which level the rest of the text is on, and guessing would make
// rows of nested objects and of other lists. What can be known then is what the layout of lines says (record_lines.h): where every record
// begins a line of its own, a broken one ends where the next begins. Otherwise nothing is read from the fault on, and that is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eval/readers/json_scan.h"
#include "eval/readers/readers.h"
#include "eval/readers/record_lines.h"
#include "eval/readers/rows.h"
#include "eval/readers/text_file.h"

namespace binocle::eval {

struct JsonRecord {
  std::string key;        // of an object's member, otherwise empty
  Json fields;            // an object
  std::string_view text;  // of the value, which parses to `fields`
  std::string place;      // "val.json:7: record 3"
  int64_t number = 0;     // from 1 on, broken ones included
};

class JsonRecords {
 public:
  // `member` names the list in the file's object; empty: the file is the list. Throws INVALID_ARGUMENT where there is no such list, and
  // for an object of records that is broken and whose records share lines. The file and `problems` must outlive it.
  JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
              const ReaderLimits& limits, Problems& problems);

  // The next record that is whole; nothing after the last one.
  std::optional<JsonRecord> Next();

 private:
  struct Element {
    std::string_view key;   // with its quotes
    std::string_view text;  // of the value
  };

  char Peek() const { return At(position_); }
  void SkipBlanks() { position_ = AfterBlanks(text_, position_); }
  bool AtList() const { return Peek() == '[' || Peek() == '{'; }
  bool FindMember();
  bool FindMemberBehindFault();
  [[noreturn]] void FailWithoutList() const;
  void OpenList();

  // Passes commas and the list's end. False: there are no more records.
  bool FindRecord();
  bool TakeLine(bool has_comma);
  void CloseList();
  void NoteSecondList();
  // Behind the mark that closes the list: whether what follows may follow it.
  bool EndsList(size_t behind) const;
  // The record at the present place, which is passed; none where it is broken, which is reported.
  std::optional<Element> TakeElement(const std::string& place);
  void ReportBroken(size_t begin, const JsonScan& scan, const std::string& place);
  // Why what follows a whole record shows that it was cut; null where it is followed by a comma and a record, or by the end.
  const char* FaultBehind(const Element& element, size_t position) const;
  bool BeginsRecord(size_t position) const;
  char At(size_t position) const { return position < text_.size() ? text_[position] : '\0'; }

  int64_t LineOf(size_t position);
  void Note(const std::string& what);
  void Lose(const std::string& what);

  const TextFile& file_;
  Problems& problems_;
  ReaderLimits limits_;
  std::string_view text_;
  std::string where_;
  std::string member_;
  JsonScan whole_;                    // of the file
  std::optional<RecordLines> lines_;  // in files that are broken, where records begin lines
  size_t position_ = 0;
  size_t limit_ =
      0;  // where the present record ends at the latest: behind it the next line of a record, or what ends the list
  size_t counted_ = 0;  // line ends in front of here are in line_
  int64_t line_ = 1;
  int64_t number_ = 0;
  char opening_ = '[';
  char closing_ = ']';
  bool needs_comma_ = false;
  bool told_ = false;  // something about the fault of a broken file
  bool ended_ = false;
};

}  // namespace binocle::eval
