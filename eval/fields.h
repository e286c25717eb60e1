// The members of one line of answers, read with errors that name the member, what was found and what was expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "eval/choices.h"
#include "eval/text.h"
#include "eval/yes_no.h"

namespace binocle::eval {

// A line's JSON: an object, no key twice in one object, at most 64 levels deep. Throws INVALID_ARGUMENT.
Json ParseAnswerLine(std::string_view line);

class Fields {
 public:
  // `line` must outlive this.
  explicit Fields(const Json& line) : line_(line) {}

  // Present and not null.
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  Text Prediction() const;
  // "references", a list of at least one text, or else "answer", a text or such a list.
  std::vector<Text> References() const;
  // "answer": yes or no, whatever its case, blanks and full stops.
  YesNo WantedYesNo() const;
  // "answer": one capital letter, and an option where the line has some.
  Letter WantedLetter(size_t options) const;
  // "options": 2 … 26 texts, in a list or under the letters from "A" on without a gap.
  std::vector<Text> Options() const;
  // A text, or a number as text; empty where there is none.
  std::string NameOr(std::string_view key) const;
  std::string Name(std::string_view key) const;
  // A list of texts; empty where there is none.
  std::vector<std::string> Texts(std::string_view key) const;
  // A list of 2 … 26 finite numbers.
  std::vector<double> Numbers(std::string_view key) const;

  [[noreturn]] void Fail(std::string_view key, const std::string& expected) const;

 private:
  const Json* Find(std::string_view key) const;

  const Json& line_;
};

}  // namespace binocle::eval
