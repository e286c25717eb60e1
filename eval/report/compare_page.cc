// ComparisonHtml: runs beside each other.
#include <algorithm>
#include <cmath>
#include <map>

#include "eval/report/html.h"
#include "eval/report/incomplete.h"

namespace binocle {
namespace {

using eval::Count;
using eval::Element;
using eval::Escaped;
using eval::Html;
using eval::Number;
using eval::Said;

constexpr size_t kMostChanges = 200;

std::string Signed(double value) { return (value > 0 ? "+" : "") + Number(value); }

std::string NumberOrNone(const std::optional<double>& number) {
  return number ? Number(*number) : "–";
}

Html Difference(const std::optional<EvalInterval>& difference) {
  if (!difference) return eval::Markup("–");
  const EvalInterval& d = *difference;
  return Element("span", "number", Escaped(Signed(d.value))) +
         Element("span", "interval", Escaped("(" + Signed(d.low) + " to " + Signed(d.high) + ")"));
}

std::string PText(const EvalTaskComparison& task) {
  if (!task.p) return "–";
  const std::string p = *task.p < 0.0001 ? "< 0.0001" : Number(*task.p);
  return p + (task.exact ? "" : " (χ²)");
}

std::string MetricOf(const EvalTaskComparison& task) {
  return task.metric + (task.higher_is_better ? "" : " (lower is better)");
}

Html Summary(const EvalComparison& comparison) {
  // One scale for all numbers of the same name, and so of the same size.
  std::map<std::string, double> reach;
  for (const EvalTaskComparison& task : comparison.tasks) {
    double& most = reach.try_emplace(task.metric, 0.01).first->second;
    if (task.difference)
      most = std::max({most, std::abs(task.difference->low), std::abs(task.difference->high)});
  }
  eval::Table table{.head = {"task", "before", "after", "difference (95 %)", "", "better", "worse",
                             "p", "metric", "pairs", "left out"},
                    .narrow = eval::Narrow::kCards};
  for (const EvalTaskComparison& task : comparison.tasks)
    table.rows.push_back(
        {Escaped(task.task) + Element("span", "folder", Escaped(task.after)),
         Escaped(NumberOrNone(task.score_before)), Escaped(NumberOrNone(task.score_after)),
         Difference(task.difference) + eval::WhatIsMissing(task),
         eval::IntervalBar(task.difference, -reach[task.metric], reach[task.metric]),
         Escaped(Count(task.better)), Escaped(Count(task.worse)), Escaped(PText(task)),
         Escaped(MetricOf(task)), Escaped(Count(task.pairs)), Escaped(Count(task.left_out))});
  return eval::Render(table);
}

Html ChangeCard(const EvalChange& change) {
  Html list;
  const auto add = [&](std::string_view name, const Html& value) {
    list += Element("dt", "", Escaped(name)) + Element("dd", "", value);
  };
  const bool better = change.score_after > change.score_before;
  add("asked", Said(change.prompt));
  add("wanted", Said(change.wanted));
  add("before", Said(change.before));
  add("after", Said(change.after));
  add("score", Element("span", better ? "good" : "bad",
                       Escaped(Number(change.score_before) + " → " + Number(change.score_after))));
  if (!change.category.empty()) add("category", Escaped(change.category));
  add("sample", Escaped(change.id));
  return Element("article", "", Element("dl", "", list));
}

Html Changes(const EvalTaskComparison& task, bool better) {
  Html cards;
  size_t shown = 0;
  for (const EvalChange& change : task.changes) {
    if ((change.score_after > change.score_before) != better || shown == kMostChanges) continue;
    cards += ChangeCard(change);
    ++shown;
  }
  if (shown == 0) return {};
  const int64_t all = better ? task.better : task.worse;
  std::string title = Count(all) + (better ? " better" : " worse");
  if (all > static_cast<int64_t>(shown))
    title += ", the first " + Count(static_cast<int64_t>(shown));
  return eval::Details(title, Element("div", "samples", cards));
}

Html TaskSection(const EvalTaskComparison& task) {
  std::string about = task.scorer + ". " + Count(task.pairs) + " samples in " + Count(task.groups) +
                      " groups; " + Count(task.reworded) +
                      " more answers are other words with the same score.";
  if (task.pairs == 0) about = task.scorer + ". No sample has a score in both runs.";
  if (task.left_out > 0)
    about += " Without a score: " + Count(task.unscored_before) + " before, " +
             Count(task.unscored_after) + " after.";
  return Element("section", "",
                 Element("h2", "", Escaped(task.task)) +
                     Element("p", "note", Escaped(task.before + " → " + task.after)) +
                     Element("p", "note", Escaped(about)) + Changes(task, false) +
                     Changes(task, true));
}

}  // namespace

std::string ComparisonHtml(const EvalComparison& comparison) {
  Html notes;
  for (const std::string& difference : comparison.settings)
    notes += Element(
        "li", "",
        Escaped(difference.empty() ? "Asked in the same way." : "Asked otherwise: " + difference));
  const Html how = Element(
      "p", "note",
      Escaped("Differences are paired, sample by sample; in brackets, 95 % percentile intervals of "
              "a bootstrap of groups of samples with the same pictures. p is McNemar's test of "
              "better against worse samples, exact unless marked χ²; it takes samples for "
              "independent and is not corrected for how many rows there are."));
  Html body = Element("section", "",
                      Element("h2", "", Escaped("Differences")) + Summary(comparison) + how +
                          Element("ul", "", notes));
  for (const EvalTaskComparison& task : comparison.tasks) body += TaskSection(task);
  const std::string subtitle =
      comparison.tasks.empty() ? "" : "beside " + comparison.tasks[0].before;
  return eval::Page("Binocle comparison", subtitle, body);
}

}  // namespace binocle
