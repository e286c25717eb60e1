#include "eval/report/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "eval/report/headline_terms.h"
#include "eval/report/same_questions.h"
#include "eval/report/statistics.h"
#include "eval/run/results.h"

namespace binocle::eval {
namespace {

EvalChange ChangeOf(const RunSample& before, const RunSample& after) {
  return {.id = before.id,
          .category = before.category,
          .prompt = before.prompt,
          .wanted = before.Wanted(),
          .before = *before.prediction,
          .after = *after.prediction,
          .score_before = *before.score,
          .score_after = *after.score};
}

// Counts one pair that both runs have a score of.
void AddPair(const RunSample& before, const RunSample& after, EvalTaskComparison& out) {
  ++out.pairs;
  if (*before.score == *after.score) {
    out.reworded += *before.prediction != *after.prediction ? 1 : 0;
    return;
  }
  ++(*after.score > *before.score ? out.better : out.worse);
  out.changes.push_back(ChangeOf(before, after));
}

// The task's number in both runs, and its paired difference.
void CompareHeadlines(const std::vector<ScoredSample>& before,
                      const std::vector<ScoredSample>& after, const EvalResampling& resampling,
                      EvalTaskComparison& out) {
  const HeadlineUnits was = UnitsOf(out.scorer, before);
  const HeadlineUnits is = UnitsOf(out.scorer, after);
  std::vector<Term> terms = TermsOf(was, before);
  for (size_t i = 0; i < terms.size(); ++i)
    terms[i].numerator = is.units[i].value - was.units[i].value;
  out.score_before = was.value();
  out.score_after = is.value();
  out.groups = GroupsOf(terms);
  out.difference = Bootstrap(terms, resampling);
}

}  // namespace

EvalTaskComparison CompareTask(const RunTask& before, const RunTask& after,
                               const EvalResampling& resampling) {
  std::unordered_map<std::string, const RunSample*> by_id;
  for (const RunSample& sample : after.samples) by_id[sample.id] = &sample;
  const Headline headline = HeadlineOf(before.scorer());
  EvalTaskComparison out{.task = before.name,
                         .scorer = before.scorer(),
                         .metric = headline.metric,
                         .higher_is_better = headline.higher_is_better};
  // Those that both runs have a score of. What belongs together is told by the first run's samples, so that both have the same units.
  std::vector<ScoredSample> scored_before;
  std::vector<ScoredSample> scored_after;
  std::vector<HeadlineLine> lines;  // of all samples
  for (const RunSample& was : before.samples) {
    const RunSample& is = *by_id.at(was.id);
    lines.push_back(HeadlineLineOf(was, is.score ? was.score : std::nullopt));
    if (!was.score || !is.score) {
      ++out.left_out;
      out.unscored_before += was.score ? 0 : 1;
      out.unscored_after += is.score ? 0 : 1;
      continue;
    }
    AddPair(was, is, out);
    scored_before.push_back({.sample = &was, .score = *was.score});
    scored_after.push_back({.sample = &was, .score = *is.score});
  }
  CompareHeadlines(scored_before, scored_after, resampling, out);
  out.incomplete_groups = UnitsOf(out.scorer, lines).incomplete_groups;
  const auto unread = UnreadBytesOf(before.about);
  out.unread_bytes = unread ? unread : UnreadBytesOf(after.about);
  if (out.pairs > 0) {
    const Discordance test = McNemar(out.better, out.worse);
    out.p = test.p;
    out.exact = test.exact;
  }
  std::stable_sort(
      out.changes.begin(), out.changes.end(), [](const EvalChange& a, const EvalChange& b) {
        return std::abs(a.score_after - a.score_before) > std::abs(b.score_after - b.score_before);
      });
  return out;
}

}  // namespace binocle::eval

namespace binocle {

EvalComparison CompareEval(const std::vector<std::string>& folders,
                           const EvalResampling& resampling) {
  const std::vector<eval::RunFiles> runs = eval::ReadComparableRuns(folders, 2);
  EvalComparison comparison;
  for (size_t i = 1; i < runs.size(); ++i) {
    comparison.settings.push_back(eval::SettingsDifference(runs[0], runs[i]));
    for (size_t task = 0; task < runs[i].tasks.size(); ++task) {
      EvalTaskComparison& one = comparison.tasks.emplace_back(
          eval::CompareTask(runs[0].tasks[task], runs[i].tasks[task], resampling));
      one.before = runs[0].folder;
      one.after = runs[i].folder;
    }
  }
  return comparison;
}

}  // namespace binocle
