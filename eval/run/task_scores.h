// The scores of one task's answers, from the lines of a journal alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "binocle/eval.h"
#include "core/json.h"
#include "eval/headline.h"
#include "eval/scorer.h"

namespace binocle::eval {

HeadlineLine HeadlineLineOf(const OrderedJson& record, std::optional<double> score);

// A mean and how sure it is.
class ScoreMean {
 public:
  void Add(double score);
  int64_t count() const { return count_; }
  // Nothing without scores.
  std::optional<double> mean() const;
  // The standard deviation of the scores, as of a sample, over √n; nothing below two of them.
  std::optional<double> standard_error() const;

 private:
  int64_t count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

class TaskScores {
 public:
  // The task as it is in the journal's head.
  explicit TaskScores(const Json& task);

  // Whether the scorer that counts cannot read the answer of an answered sample, so that a judge may.
  bool IsUnread(const OrderedJson& record) const;
  // Of an answered sample: {"exact_match": 1.0, …, "scored": {"exact_match": {"score": 1.0, …}}}, a member for each scorer, the one
  // that counts first. Empty where a judge decides. `choice`: the letter that a judge reads in it, for the scorer that counts.
  OrderedJson Add(const OrderedJson& record, const std::string& choice = {});
  // One that failed.
  void AddFailed(const OrderedJson& record) { lines_.push_back(HeadlineLineOf(record, {})); }
  // A judge's score of an answered sample.
  OrderedJson AddVerdict(const OrderedJson& record, double score);

  // What the task is known by, of the scorer that counts or of the judge.
  Headline headline() const { return HeadlineOf(decider_); }
  HeadlineUnits HeadlineParts() const { return UnitsOf(decider_, lines_); }
  // By scorer, in the task's order; those that had no sample are left out.
  struct Summary {
    std::string scorer;
    OrderedJson members;  // as of Scoring::Summary
    ScoreMean mean;
  };
  std::vector<Summary> Summaries() const;
  // {"ocr": {"samples": 108, "score": 0.3}, …}: means of the scores that count, of the samples that need an ability.
  OrderedJson Abilities() const;

 private:
  struct Scorer {
    std::string name;
    Scoring scoring;
    ScoreMean mean;
  };

  std::vector<Scorer*> ScorersOf(const OrderedJson& record);

  std::string judge_;
  std::string decider_;                     // the judge, or the task's scorer
  std::optional<ScorerDefinition> reader_;  // the task's scorer
  std::vector<Scorer> scorers_;             // the task's first, then those beside it
  std::optional<Scorer> open_;
  void Count(const OrderedJson& record, double score);

  std::map<std::string, ScoreMean> abilities_;
  std::vector<HeadlineLine> lines_;  // scored by the one that counts
};

}  // namespace binocle::eval
