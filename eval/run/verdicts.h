// What judges are given, and what they say: a score of an answer, or which option it chooses.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/json.h"

namespace binocle::eval {

// A line of what a judge is to grade: {"id", "question", "answer", "prediction", "images", "prediction_sha256"}, "category" where there
// is one.
OrderedJson JudgeLine(const OrderedJson& record);

enum class JudgeKind {
  kNone,
  kScore,   // grades every answer
  kChoice,  // says which option an answer means that the scorer cannot read: MMBench's
};
// Of a task in the journal's head; and the judge's name, empty for kNone.
JudgeKind JudgeKindOf(const Json& task);
std::string JudgeNameOf(const Json& task);

// A judge's verdicts, each on one answer: one on an answer that is not the sample's any more is none.
class Verdicts {
 public:
  // {"id", "score"} a line, or {"id", "choice"} with a capital letter or null, with "prediction_sha256" where the judge keeps it. Throws
  // INVALID_ARGUMENT with the line's number for what is no such object, scores outside 0 … 1, and an id that an earlier line has.
  static Verdicts Read(const std::filesystem::path& path, JudgeKind kind);

  // The line on an answered sample. Null where there is none.
  const OrderedJson* Find(const OrderedJson& record) const;
  size_t size() const { return lines_.size(); }
  const std::map<std::string, OrderedJson>& lines() const { return lines_; }

 private:
  std::map<std::string, OrderedJson> lines_;  // by id
};

}  // namespace binocle::eval
