// The records of a JSON file, one at a time: the elements of a list, or the members of an object whose values are objects.
//
//   {"info": …, "questions": [{"question_id": 1, …}, …]}     JsonRecords(file, where, "questions", problems)
//   {"201307251": {"question": …}, …}                         JsonRecords(file, where, "", problems)
//
// Only marks and texts are looked at to find where a record ends; what is in it is parsed by whoever takes it. A text that is not closed
// ends with its line, and a bracket that closes nothing is part of its record, so that one broken record costs no others. A list that is
// closed before its file ends is reported, and what follows is read on as records of it: rows are never lost in silence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eval/readers/rows.h"
#include "eval/readers/text_file.h"

namespace binocle::eval {

struct JsonRecord {
  std::string key;        // of an object's member, otherwise empty
  std::string_view text;  // of the value
  int64_t line = 0;       // where it begins, from 1 on
  int64_t number = 0;     // from 1 on
};

class JsonRecords {
 public:
  // `member` names the list in the file's object; empty: the file is the list. `where` is what errors call the file. Throws
  // INVALID_ARGUMENT where there is no such list. The file and `problems` must outlive it.
  JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
              Problems& problems);

  // Nothing after the last record; what is wrong with the list itself is among the problems then.
  std::optional<JsonRecord> Next();

 private:
  enum class Scope {
    kFile,
    kMember
  };  // what the list is: the whole file, or a member of its object

  char Peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  void SkipBlanks();
  // Whether `c` is next, which is passed then; blanks in front of it are passed in any case.
  bool Skip(char c);
  void FindMember(const std::string& where, std::string_view member);
  std::string TakeKey();
  std::string_view TakeValue(char closing);
  void CountLines();
  void Report(const std::string& what);
  // Behind the mark that closes the list: whether it is the list's end. Otherwise it is reported and passed.
  bool IsEnd();
  void PassOtherMembers();

  const TextFile& file_;
  Problems& problems_;
  std::string_view text_;
  Scope scope_;
  size_t position_ = 0;
  size_t counted_ = 0;  // line ends in front of here are in line_
  int64_t line_ = 1;
  int64_t number_ = 0;
  char opening_ = '[';
  char closing_ = ']';
  bool ended_ = false;
};

}  // namespace binocle::eval
