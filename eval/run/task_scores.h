// The scores of one task's answers, from the lines of a journal alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "binocle/eval.h"
#include "core/json.h"

namespace binocle::eval {

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

  // Of an answered sample: {"exact_match": 1.0, …, "scored": {"exact_match": {"score": 1.0, …}}}, a member for each scorer, the one that counts
  // first. Empty where a judge decides.
  OrderedJson Add(const OrderedJson& record);
  // A judge's score of an answered sample.
  OrderedJson AddVerdict(double score);

  // Of the scorer that counts, sample by sample.
  const ScoreMean& main() const { return main_; }
  // By scorer, in the task's order; those that had no sample are left out.
  struct Summary {
    std::string scorer;
    OrderedJson members;  // as of Scoring::Summary
    ScoreMean mean;
  };
  std::vector<Summary> Summaries() const;

 private:
  struct Scorer {
    std::string name;
    Scoring scoring;
    ScoreMean mean;
  };

  std::vector<Scorer*> ScorersOf(const OrderedJson& record);

  std::string judge_;
  std::vector<Scorer> scorers_;  // the task's first, then those beside it
  std::optional<Scorer> open_;
  ScoreMean main_;
};

}  // namespace binocle::eval
