#include "eval/report/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "eval/report/same_questions.h"
#include "eval/report/statistics.h"

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
  out.score_before += *before.score;
  out.score_after += *after.score;
  if (*before.score == *after.score) {
    out.reworded += *before.prediction != *after.prediction ? 1 : 0;
    return;
  }
  ++(*after.score > *before.score ? out.better : out.worse);
  out.changes.push_back(ChangeOf(before, after));
}

}  // namespace

EvalTaskComparison CompareTask(const RunTask& before, const RunTask& after,
                               const EvalResampling& resampling) {
  std::unordered_map<std::string, const RunSample*> by_id;
  for (const RunSample& sample : after.samples) by_id[sample.id] = &sample;
  EvalTaskComparison out{.task = before.name, .scorer = before.scorer()};
  std::vector<Term> terms;
  for (const RunSample& was : before.samples) {
    const RunSample& is = *by_id.at(was.id);
    if (!was.score || !is.score) {
      ++out.left_out;
      continue;
    }
    AddPair(was, is, out);
    terms.push_back({.numerator = *is.score - *was.score, .group = was.group});
  }
  if (out.pairs > 0) {
    out.score_before /= static_cast<double>(out.pairs);
    out.score_after /= static_cast<double>(out.pairs);
  }
  out.groups = GroupsOf(terms);
  out.difference = Bootstrap(terms, resampling).value_or(EvalInterval{});
  const Discordance test = McNemar(out.better, out.worse);
  out.p = test.p;
  out.exact = test.exact;
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
