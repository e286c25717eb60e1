// The records of a JSON file, one at a time: the elements of a list, or the members of an object whose values are objects.
//
//   {"info": …, "questions": [{"question_id": 1, …}, …]}     JsonRecords(file, where, "questions", …)
//   {"201307251": {"question": …}, …}                         JsonRecords(file, where, "", …)
//
// Where brackets, quotes, colons and commas are sound, every record is what it is, and damage within one (bytes, numbers, names given
// twice, depth, length) costs it alone. Behind the first fault of that kind nobody knows which level the text is on, and guessing makes
// rows of nested objects and of other lists. So what lies in front of the fault is read, and the fault and how much is not read are told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eval/readers/json_scan.h"
#include "eval/readers/readers.h"
#include "eval/readers/rows.h"
#include "eval/readers/text_file.h"

namespace binocle::eval {

struct JsonRecord {
  std::string key;        // of an object's member, otherwise empty
  Json fields;            // an object
  std::string_view text;  // of the value, which parses to `fields`
  std::string place;      // "val.json:7: record 3"
  int64_t number = 0;     // from 1 on, damaged ones included
};

class JsonRecords {
 public:
  // `member` names the list in the file's object; empty: the file is the list. Throws INVALID_ARGUMENT where there is no such list in
  // front of the file's first fault, where it is there twice, where that object ends before the file does, and for an object of records
  // with a fault: a } too many or missing there would make records of what is in one. The file and `problems` must outlive it.
  JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
              const ReaderLimits& limits, Problems& problems);

  // The next record that is whole; nothing after the last one.
  std::optional<JsonRecord> Next();

 private:
  struct Element {
    std::string_view key;   // with its quotes
    std::string_view text;  // of the value
  };

  char At(size_t position) const { return position < text_.size() ? text_[position] : '\0'; }
  [[noreturn]] void FailAtFault(const std::string& rest) const;
  void FindMember();
  // Of the next member that is called so, from the place of a name on; none in front of the first fault.
  std::optional<size_t> ValueOfMember(size_t at) const;
  // The record at the present place, which is passed; none where the list or what can be read of it ends.
  std::optional<Element> TakeElement();
  bool IsCutAt(size_t behind) const;
  void End(size_t behind);
  // Of a place that is not in front of an earlier one.
  int64_t LineOf(size_t position);

  const TextFile& file_;
  Problems& problems_;
  ReaderLimits limits_;
  std::string_view text_;
  std::string where_;
  std::string member_;
  JsonScan whole_;  // of the file: `end` is its first fault
  size_t position_ = 0;
  size_t counted_ = 0;  // line ends in front of here are in line_
  int64_t line_ = 1;
  int64_t number_ = 0;
  char opening_ = '[';
  bool ended_ = false;
};

}  // namespace binocle::eval
