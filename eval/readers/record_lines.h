// The layout of a list whose records begin lines of their own:
//
//   "questions": [                      [
//     {                                 {"id": 1, "choices": [{"id": 101}]},
//       "id": 1,                        {"id": 2, …},
//       "choices": [                    …
//         {                             ]
//   …
//
// Either records are indented more than the line of the list's bracket, and what is in them more than they are; or each is whole on its
// line, where the first may share that of the bracket. Nothing but indentation and the first mark of a line is looked at, so a broken record cannot hide the next one, and a line that is
// indented less, or begins with another mark, ends the list.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace binocle::eval {

class RecordLines {
 public:
  // Of the list with its opening mark at `bracket`. None where its first lines say neither.
  // `alone`: the list is all that the text holds.
  static std::optional<RecordLines> Detect(std::string_view text, size_t bracket, bool alone);

  // Where the next record begins behind `position`, or the line that ends the list, or the text's end.
  size_t NextBehind(size_t position) const;
  // Whether a line begins there, behind its indentation, as those of records do: a broken one may lack its first mark, but where other
  // things may have that indentation.
  bool IsRecord(size_t position) const;
  // Records are indented more than the line of their list's bracket, so that no member of the object around it looks like one.
  bool are_deeper() const { return are_deeper_; }

 private:
  RecordLines(std::string_view text, size_t indent, bool of_object, bool are_deeper, bool are_alone)
      : text_(text),
        indent_(indent),
        of_object_(of_object),
        are_deeper_(are_deeper),
        are_alone_(are_alone) {}
  // Of the line that begins with the record at `position`.
  bool HoldsIt(size_t position) const;

  std::string_view text_;
  size_t indent_;   // blanks in front of a record
  bool of_object_;  // records have keys
  bool are_deeper_;
  bool are_alone_;  // nothing else has their indentation
};

}  // namespace binocle::eval
