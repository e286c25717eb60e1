// Scores of answers by published rules, without a model. A library of its own, libbinocle_eval (CMake: binocle::eval), which needs none
// of the others.
//
//   binocle::Scoring scoring("vqa_v2");
//   std::cout << scoring.Score(R"({"id": 7, "prediction": "Two", "references": ["2", "2", "two", "3"]})") << '\n';
//   // {"id": 7, "prediction": "Two", "references": ["2", "2", "two", "3"],"score":0.75,"parsed":"2"}
//   std::cout << scoring.Summary() << '\n';   // {"summary":{"scorer":"vqa_v2","lines":1,"score":0.75,…}}
//
// Every rule, its source, and where public scripts differ: docs/evaluation.md. A scorer never guesses: where a published script draws an
// answer at random or asks a judge, there is no answer, which is wrong and counted.
//
// All functions throw binocle::Error. An object may be used by one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/export.h"

namespace binocle {

struct ScorerInfo {
  std::string name;
  std::string about;  // one line
  // Members that a line must have; "references|answer": one of them.
  std::vector<std::string> required;
  // Members that count where they are there, besides "id" and "category".
  std::vector<std::string> optional;
  std::string source;  // whose rule it is
};

// All scorers, in the order of the documentation.
BINOCLE_EXPORT std::vector<ScorerInfo> Scorers();

// What Summary does about groups that are not whole: MME's two questions about a picture, CircularEval's turns of a question.
enum class IncompleteGroups { kRefused, kLeftOut };

struct ScoringOptions {
  // For chair: which objects there are and which words count as each, a JSON table (docs/evaluation.md, "Words of CHAIR"). Empty: COCO's.
  std::string objects;
};

class BINOCLE_EXPORT Scoring {
 public:
  // INVALID_ARGUMENT, with the names, where there is no such scorer (Error::option() is "scorer"), and for objects that are no table or
  // with a scorer that has none (its option is "objects").
  explicit Scoring(std::string_view scorer, const ScoringOptions& options = {});
  ~Scoring();
  Scoring(Scoring&&) noexcept;
  Scoring& operator=(Scoring&&) noexcept;

  // One answer, a JSON object in UTF-8: the same text with "score" (0 … 1) and what the scorer found at its end; members of these names
  // that it had already get the new values in their place. INVALID_ARGUMENT for what is no such object, a key given twice, a member that is
  // missing or wrong, an id that an earlier line had; such a line does not count.
  std::string Score(std::string_view line);

  // {"summary": {"scorer", "lines", "score", "no_answer", "empty", …}} in one line, over the answers up to now; "score" is null without
  // any. INVALID_ARGUMENT for groups that are not whole, unless they are left out (then "incomplete_groups" says how many there were).
  std::string Summary(IncompleteGroups incomplete = IncompleteGroups::kRefused) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace binocle
