// The records of a JSON file, one at a time: the elements of a list, or the members of an object whose values are objects.
//
//   {"info": …, "questions": [{"question_id": 1, …}, …]}     JsonRecords(text, where, "questions")
//   {"201307251": {"question": …}, …}                         JsonRecords(text, where, "")
//
// Only marks and texts are looked at to find where a record ends; what is in it is parsed by whoever takes it. A text that is not closed ends
// with its line, so that one broken record costs no others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace binocle::eval {

struct JsonRecord {
  std::string key;        // of an object's member, otherwise empty
  std::string_view text;  // of the value
  int64_t line = 0;       // where it begins, from 1 on
  int64_t number = 0;     // from 1 on
};

class JsonRecords {
 public:
  // `member` names the list in the file's object; empty: the file is the list. Throws INVALID_ARGUMENT where there is no such list.
  JsonRecords(std::string_view text, const std::string& where, std::string_view member);

  std::optional<JsonRecord> Next();
  // After the last record: whether the list was closed.
  bool closed() const { return closed_; }
  int64_t line() const { return line_; }

 private:
  char Peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  void SkipBlanks();
  std::string TakeKey();
  std::string_view TakeValue();

  std::string_view text_;
  size_t position_ = 0;
  size_t counted_ = 0;  // line ends in front of here are in line_
  int64_t line_ = 1;
  int64_t number_ = 0;
  bool is_object_ = false;
  bool closed_ = false;
};

}  // namespace binocle::eval
