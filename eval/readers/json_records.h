// The records of a JSON file, one at a time: the elements of a list, or the members of an object whose values are objects.
//
//   {"info": …, "questions": [{"question_id": 1, …}, …]}     JsonRecords(file, where, "questions", problems)
//   {"201307251": {"question": …}, …}                         JsonRecords(file, where, "", problems)
//
// A file that is JSON is read as it is. In one that is none a broken record is looked through to where the next one begins: on a line of
// its own that begins like the broken one's, or, where records share lines, at an object with the names of the records before. So one
// broken record costs no others. A list that is closed before its file ends, or that stands there twice, is reported, and what follows is
// read on as records of it: rows are not lost in silence. What is in a record is parsed by whoever takes it.
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
  // INVALID_ARGUMENT where there is no such list. The file and `problems` must outlive it. Reads the file once, to see whether it is
  // JSON.
  JsonRecords(const TextFile& file, const std::string& where, std::string_view member,
              Problems& problems);

  // Nothing after the last record; what is wrong with the list itself is among the problems then. Throws INVALID_ARGUMENT where so much
  // is broken that the file is no list of records.
  std::optional<JsonRecord> Next();

 private:
  // The whole file, or a member of its object.
  enum class Scope { kFile, kMember };

  // Of sound records.
  struct Names {
    std::set<std::string> all;
    size_t fewest = 0;  // of one of them
  };

  char Peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  void SkipBlanks();
  // Whether `c` is next, which is passed then; blanks in front of it are passed in any case.
  bool Skip(char c);
  bool SkipCommas();
  // Passes what is in front of the list in its object. False: there is none.
  bool FindMember();
  void OpenList();
  bool AtList() const { return Peek() == '[' || Peek() == '{'; }
  std::string TakeKey();
  std::string_view TakeRecord();
  bool IsCutAt(size_t comma) const;
  // The next one behind a record that begins at `begin`; the end of the file where there is none.
  size_t FindRecord(size_t begin);
  size_t FindLine(std::string_view indent, size_t from);
  size_t FindLikeness(size_t from);
  // The blanks in front of the record that begins at `begin`, its key included, where nothing else is in front of it on its line.
  std::optional<std::string_view> IndentOf(size_t begin) const;
  std::optional<std::string_view> IndentOfNextLine(size_t position) const;
  // Whether a whole object is there whose names are, by and large, those of records.
  bool IsLikeness(size_t brace, const Names& names) const;
  // Of `"key": {`; otherwise npos.
  size_t BraceBehindKey(size_t position) const;
  // In an object of records, where one lacks its end: the first of its members that is a record. Otherwise npos.
  size_t FindSwallowed(size_t begin, size_t end) const;
  void Learn(std::string_view record);
  void CountLines();
  void Report(const std::string& what);
  // Behind the mark that closes the list: whether it is the list's end. Otherwise it is reported and passed.
  bool IsEnd();
  // Whether the list goes on, in what follows it in its object or behind it.
  bool PassOtherMembers();

  const TextFile& file_;
  Problems& problems_;
  std::string_view text_;
  std::string where_;
  std::string member_;
  Scope scope_;
  bool is_json_;
  size_t position_ = 0;
  size_t counted_ = 0;  // line ends in front of here are in line_
  int64_t line_ = 1;
  int64_t number_ = 0;
  int64_t broken_ = 0;
  char opening_ = '[';
  char closing_ = ']';
  bool ended_ = false;
  Names names_;  // in files that are no JSON
  // What was searched last: from there on, this is the first that was found.
  struct Search {
    size_t from = std::string_view::npos, found = 0;
    bool Has(size_t position) const { return from <= position && position <= found; }
  };
  Search line_search_, likeness_search_;
  std::string_view line_indent_;  // of line_search_
};

}  // namespace binocle::eval
