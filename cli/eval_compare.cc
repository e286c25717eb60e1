// binocle eval compare: runs over the same data beside the first.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string_view>

#include "binocle/eval_report.h"
#include "cli/commands.h"
#include "cli/eval_commands.h"
#include "cli/eval_output.h"
#include "cli/eval_resampling.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/new_file.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

constexpr size_t kMostChangesPrinted = 10;  // of a task
constexpr size_t kMostBytesPrinted = 60;    // of a text

struct CompareFlags {
  std::vector<std::string> runs;
  std::string out;
  EvalResampling resampling;
  bool overwrite = false;
  bool json = false;

  Overwrite may_overwrite() const { return overwrite ? Overwrite::kAllowed : Overwrite::kRefused; }
};

Json NumberJson(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

Json ChangeJson(const EvalChange& change) {
  return {{"id", change.id},
          {"category", change.category},
          {"prompt", change.prompt},
          {"wanted", change.wanted},
          {"before", change.before},
          {"after", change.after},
          {"score_before", change.score_before},
          {"score_after", change.score_after}};
}

Json ComparisonJson(const EvalComparison& comparison) {
  Json tasks = Json::array();
  for (const EvalTaskComparison& task : comparison.tasks) {
    Json changes = Json::array();
    for (const EvalChange& change : task.changes) changes.push_back(ChangeJson(change));
    tasks.push_back({{"task", task.task},
                     {"scorer", task.scorer},
                     {"metric", task.metric},
                     {"higher_is_better", task.higher_is_better},
                     {"before", task.before},
                     {"after", task.after},
                     {"pairs", task.pairs},
                     {"groups", task.groups},
                     {"left_out", task.left_out},
                     {"unscored_before", task.unscored_before},
                     {"unscored_after", task.unscored_after},
                     {"incomplete_groups", task.incomplete_groups},
                     {"unread_bytes", task.unread_bytes ? Json(*task.unread_bytes) : Json()},
                     {"incomplete", task.incomplete()},
                     {"score_before", NumberJson(task.score_before)},
                     {"score_after", NumberJson(task.score_after)},
                     {"difference", IntervalJson(task.difference)},
                     {"better", task.better},
                     {"worse", task.worse},
                     {"p", NumberJson(task.p)},
                     {"exact", task.exact},
                     {"reworded", task.reworded},
                     {"changes", changes}});
  }
  return {{"settings", comparison.settings}, {"tasks", tasks}};
}

bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Where two texts begin to differ; their length where one is all of the other.
size_t FirstDifference(std::string_view a, std::string_view b) {
  const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(ends.first - a.begin());
}

// What somebody wrote, in a line of a terminal: without what would steer it, and cut so that `place` is in it.
std::string OnOneLine(const std::string& text, size_t place = 0) {
  size_t begin = place > kMostBytesPrinted / 2 && text.size() > kMostBytesPrinted
                     ? std::min(place - kMostBytesPrinted / 2, text.size() - kMostBytesPrinted)
                     : 0;
  while (begin < text.size() && ContinuesCharacter(text[begin])) ++begin;
  size_t end = std::min(begin + kMostBytesPrinted, text.size());
  while (end > begin && end < text.size() && ContinuesCharacter(text[end])) --end;
  const std::string shown =
      (begin > 0 ? "…" : "") + text.substr(begin, end - begin) + (end < text.size() ? "…" : "");
  return "'" + Error(Code::kUnknown, shown).message() + "'";
}

void PrintChanges(const EvalTaskComparison& task) {
  for (size_t i = 0; i < std::min(task.changes.size(), kMostChangesPrinted); ++i) {
    const EvalChange& c = task.changes[i];
    const size_t place = FirstDifference(c.before, c.after);
    std::printf("  %s: %s, before %s, wanted %s\n", Error(Code::kUnknown, c.id).message().c_str(),
                OnOneLine(c.after, place).c_str(), OnOneLine(c.before, place).c_str(),
                OnOneLine(c.wanted).c_str());
  }
  if (task.changes.size() > kMostChangesPrinted)
    std::printf("  and %zu more with another score\n", task.changes.size() - kMostChangesPrinted);
}

std::string Formatted(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void PrintRow(const EvalTaskComparison& task) {
  const auto& difference = task.difference;
  const bool incomplete = task.incomplete();
  const std::string change = difference ? Formatted("%+.4f", difference->value) : "-";
  const std::string range = difference ? Formatted("%+.4f", difference->low) + " to " +
                                             Formatted("%+.4f", difference->high)
                                       : "-";
  const std::string p = task.p ? Formatted("%.4g", *task.p) : "-";
  std::printf("%-18s %-9s %7lld %8lld %10s %10s %11s %22s %7lld %7lld %9s  %s\n", task.task.c_str(),
              task.metric.c_str(), static_cast<long long>(task.pairs),
              static_cast<long long>(task.left_out),
              ScoreText(task.score_before, incomplete).c_str(),
              ScoreText(task.score_after, incomplete).c_str(), change.c_str(), range.c_str(),
              static_cast<long long>(task.better), static_cast<long long>(task.worse), p.c_str(),
              task.after.c_str());
}

// What is missing, and in which of the two runs.
void PrintMissing(const EvalTaskComparison& task) {
  if (!task.incomplete()) return;
  const std::string name = task.task + ", " + task.after;
  std::string text = task.pairs == 0 ? name + ": no sample has a score in both runs"
                                     : IncompleteText(name, task.pairs, task.pairs + task.left_out,
                                                      task.incomplete_groups, task.unread_bytes);
  if (task.left_out > 0)
    text += "; without a score: " + std::to_string(task.unscored_before) + " before, " +
            std::to_string(task.unscored_after) + " after";
  std::printf("%s\n", text.c_str());
}

void PrintComparison(const EvalComparison& comparison) {
  if (!comparison.tasks.empty()) std::printf("before: %s\n", comparison.tasks[0].before.c_str());
  std::printf("%-18s %-9s %7s %8s %10s %10s %11s %22s %7s %7s %9s  %s\n", "task", "metric", "pairs",
              "left out", "before", "after", "difference", "95 %", "better", "worse", "p", "run");
  for (const EvalTaskComparison& task : comparison.tasks) PrintRow(task);
  for (const EvalTaskComparison& task : comparison.tasks) PrintMissing(task);
  for (const std::string& settings : comparison.settings) {
    if (!settings.empty())
      std::printf("asked otherwise: %s\n", Error(Code::kUnknown, settings).message().c_str());
  }
  for (const EvalTaskComparison& task : comparison.tasks) {
    if (task.changes.empty()) continue;
    std::printf("%s, %s: other scores\n", task.task.c_str(), task.after.c_str());
    PrintChanges(task);
  }
}

void Compare(const CompareFlags& flags) {
  if (flags.runs.size() < 2)
    throw UsageError{"a run is missing, expected at least two folders of runs"};
  if (!flags.out.empty()) CheckNewFile(flags.out, flags.may_overwrite());
  const EvalComparison comparison = CompareEval(flags.runs, flags.resampling);
  if (!flags.out.empty())
    WriteNewFile(flags.out, ComparisonHtml(comparison), flags.may_overwrite());
  if (flags.json) {
    std::cout << Line(ComparisonJson(comparison)) << '\n';
  } else {
    PrintComparison(comparison);
    if (!flags.out.empty()) std::printf("comparison: %s\n", flags.out.c_str());
  }
  FlushOutput();
}

}  // namespace

void AddEvalCompare(CLI::App& eval) {
  CLI::App* command =
      eval.add_subcommand("compare", "Compare runs over the same data with the first of them");
  const auto flags = std::make_shared<CompareFlags>();
  command->add_option("run", flags->runs, "folders of finished runs")
      ->check(NotEmpty("the run", "a folder"));
  command->add_option("--out", flags->out, "HTML file to write besides")
      ->check(NotEmpty("--out", "a path"));
  AddResampling(*command, flags->resampling);
  command->add_flag("--overwrite", flags->overwrite, "replace the file of --out");
  command->add_flag("--json", flags->json, "print one JSON object, with every sample that changed");
  command->callback([flags] { Compare(*flags); });
}

}  // namespace binocle::cli
