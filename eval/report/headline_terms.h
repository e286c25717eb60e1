// What a task is known by (eval/headline.h), from samples of a run.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "eval/headline.h"
#include "eval/report/run_files.h"
#include "eval/report/statistics.h"

namespace binocle::eval {

struct ScoredSample {
  const RunSample* sample = nullptr;
  double score = 0;
};

// The samples that have a score of the scorer that counts, or of the judge.
std::vector<ScoredSample> ScoredSamplesOf(const RunTask& task);

// What a sample's score counts as, or that it has none.
HeadlineLine HeadlineLineOf(const RunSample& sample, std::optional<double> score);
HeadlineUnits UnitsOf(std::string_view scorer, const std::vector<ScoredSample>& samples);

// The units for Bootstrap: each is drawn with the samples that have the pictures of its first one. `units` are those of `samples`.
std::vector<Term> TermsOf(const HeadlineUnits& units, const std::vector<ScoredSample>& samples);

}  // namespace binocle::eval
