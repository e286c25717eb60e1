// What a scorer is made of: one line's score, and what many lines come to.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "binocle/eval.h"
#include "eval/chair.h"
#include "eval/fields.h"

namespace binocle::eval {

// A yes-or-no answer beside what was wanted.
struct YesNoOutcome {
  YesNo wanted;
  YesNo said;
};
// A caption beside what is in its picture.
struct CaptionOutcome {
  int64_t mentions = 0;
  int64_t hallucinated = 0;  // of the mentions
  std::set<std::string> named;
  std::set<std::string> there;
  CaptionStyle style;
};

struct LineScore {
  double score = 0;      // 0 … 1
  bool answered = true;  // false: the prediction could not be read as an answer
  // What else goes into the line, after "score".
  OrderedJson found = OrderedJson::object();
  std::string category;  // empty: none
  std::string group;     // lines that count together; empty: alone
  int64_t turns = 0;     // lines of its group, where that is whole; 0: whatever their number
  std::variant<std::monostate, YesNoOutcome, CaptionOutcome> outcome;
};

// Sums over lines. The mean of the scores and the counts that every scorer has are kept elsewhere.
class Tally {
 public:
  virtual ~Tally() = default;
  virtual void Add(const LineScore& line) = 0;
  // Appends members. Throws INVALID_ARGUMENT for groups that are not whole, unless they are left out.
  virtual void Write(IncompleteGroups incomplete, OrderedJson& summary) const = 0;
};

struct ScorerDefinition {
  ScorerInfo info;
  // Throws INVALID_ARGUMENT for members that are missing or wrong.
  std::function<LineScore(const Fields&)> score;
  // Null: the mean is all.
  std::function<std::unique_ptr<Tally>()> tally;
};

// In the order in which they are listed. `objects`: the table that chair knows (eval/chair.h); empty: COCO's.
std::vector<ScorerDefinition> AllScorers(const std::string& objects = {});
// By kind, in files of their own.
std::vector<ScorerDefinition> TextScorers();
std::vector<ScorerDefinition> YesNoScorers();
std::vector<ScorerDefinition> ChoiceScorers();
std::vector<ScorerDefinition> CaptionScorers(const std::string& objects);

}  // namespace binocle::eval
