// The records of a JSON file, one at a time: the elements of a list, or the members of an object whose values are objects.
//
//   {"info": …, "questions": [{"question_id": 1, …}, …]}     JsonRecords(file, where, "questions", problems)
//   {"201307251": {"question": …}, …}                         JsonRecords(file, where, "", problems)
//
// Only marks and texts are looked at to find where a record ends; what is in it is parsed by whoever takes it. A file that is no JSON is
// read with suspicion: a record ends where another one seems to begin, at a brace, the first name of the records before and another of
// their names. So one broken record costs no others. A list that is closed before its file ends, or that stands there twice, is reported,
// and what follows is read on as records of it: rows are never lost in silence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
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
  size_t AfterBlanks(size_t position) const;
  void SkipBlanks();
  // Whether `c` is next, which is passed then; blanks in front of it are passed in any case.
  bool Skip(char c);
  void FindMember(const std::string& where, std::string_view member);
  std::string TakeKey();
  struct Value {
    std::string_view text;
    bool
        sound;  // brackets and texts fit, it is an object, and a comma, the list's end or another record follows
  };
  Value TakeValue(char closing);
  std::string_view TakeRecord();
  // Of a member that begins at `position` with `"name" :`; otherwise the name is empty.
  struct Member {
    std::string_view name;  // with its marks
    size_t value = 0;
  };
  Member MemberAt(size_t position) const;
  Member MemberAfter(const Member& member) const;
  void Learn(const Value& record);
  bool LooksLikeRecord(size_t brace) const;
  // The first such place from `from` on, with the key before it; the end of the file where there is none.
  size_t FindRecord(size_t from);
  size_t WithKeyBefore(size_t brace) const;
  void CountLines();
  void Report(const std::string& what);
  // Behind the mark that closes the list: whether it is the list's end. Otherwise it is reported and passed.
  bool IsEnd();
  // Whether records follow, in what follows the list in its object or behind it.
  bool PassOtherMembers();

  const TextFile& file_;
  Problems& problems_;
  std::string_view text_;
  Scope scope_;
  std::string member_;
  size_t position_ = 0;
  size_t counted_ = 0;  // line ends in front of here are in line_
  int64_t line_ = 1;
  int64_t number_ = 0;
  char opening_ = '[';
  char closing_ = ']';
  bool ended_ = false;
  bool suspicious_ = false;  // the file is no JSON
  bool has_learnt_ = false;
  std::string_view
      first_name_;  // of the first record that is sound, or of a broken one until there is one
  std::set<std::string> other_names_;           // of the same
  size_t searched_from_ = 0, next_record_ = 0;  // what FindRecord found last
};

}  // namespace binocle::eval
