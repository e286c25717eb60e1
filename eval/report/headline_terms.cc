#include "eval/report/headline_terms.h"

#include <map>
#include <string>

namespace binocle::eval {

std::vector<ScoredSample> ScoredSamplesOf(const RunTask& task) {
  std::vector<ScoredSample> scored;
  for (const RunSample& sample : task.samples) {
    if (sample.score) scored.push_back({.sample = &sample, .score = *sample.score});
  }
  return scored;
}

HeadlineLine HeadlineLineOf(const RunSample& sample, std::optional<double> score) {
  return {.score = score,
          .category = sample.category,
          .group = sample.together,
          .options = sample.options};
}

HeadlineUnits UnitsOf(std::string_view scorer, const std::vector<ScoredSample>& samples) {
  std::vector<HeadlineLine> lines;
  for (const ScoredSample& one : samples) lines.push_back(HeadlineLineOf(*one.sample, one.score));
  return UnitsOf(scorer, lines);
}

std::vector<Term> TermsOf(const HeadlineUnits& units, const std::vector<ScoredSample>& samples) {
  std::map<std::string, int64_t> strata;
  std::vector<Term> terms;
  for (const HeadlineUnit& unit : units.units) {
    const int64_t next = std::ssize(strata);
    terms.push_back({.numerator = unit.value,
                     .group = samples[unit.first_line].sample->group,
                     .stratum = strata.try_emplace(unit.stratum, next).first->second});
  }
  return terms;
}

}  // namespace binocle::eval
