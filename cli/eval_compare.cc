// binocle eval compare: runs over the same data beside the first.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "binocle/eval_report.h"
#include "cli/commands.h"
#include "cli/eval_commands.h"
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
                     {"before", task.before},
                     {"after", task.after},
                     {"pairs", task.pairs},
                     {"groups", task.groups},
                     {"left_out", task.left_out},
                     {"score_before", task.score_before},
                     {"score_after", task.score_after},
                     {"difference", IntervalJson(task.difference)},
                     {"better", task.better},
                     {"worse", task.worse},
                     {"p", task.p},
                     {"exact", task.exact},
                     {"reworded", task.reworded},
                     {"changes", changes}});
  }
  return {{"settings", comparison.settings}, {"tasks", tasks}};
}

// What somebody wrote, in a line of a terminal: cut, and without what would steer it.
std::string OnOneLine(std::string text) {
  if (text.size() > kMostBytesPrinted) {
    size_t end = kMostBytesPrinted;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end) + "…";
  }
  return "'" + Error(Code::kUnknown, text).message() + "'";
}

void PrintChanges(const EvalTaskComparison& task) {
  for (size_t i = 0; i < std::min(task.changes.size(), kMostChangesPrinted); ++i) {
    const EvalChange& c = task.changes[i];
    std::printf("  %s: %s, before %s, wanted %s\n", Error(Code::kUnknown, c.id).message().c_str(),
                OnOneLine(c.after).c_str(), OnOneLine(c.before).c_str(),
                OnOneLine(c.wanted).c_str());
  }
  if (task.changes.size() > kMostChangesPrinted)
    std::printf("  and %zu more with another score\n", task.changes.size() - kMostChangesPrinted);
}

void PrintComparison(const EvalComparison& comparison) {
  if (!comparison.tasks.empty()) std::printf("before: %s\n", comparison.tasks[0].before.c_str());
  std::printf("%-18s %7s %8s %8s %11s %20s %7s %7s %9s  %s\n", "task", "pairs", "before", "after",
              "difference", "95 %", "better", "worse", "p", "run");
  for (const EvalTaskComparison& task : comparison.tasks) {
    char range[48];
    std::snprintf(range, sizeof range, "%+.4f to %+.4f", task.difference.low, task.difference.high);
    std::printf("%-18s %7lld %8.4f %8.4f %+11.4f %20s %7lld %7lld %9.4g  %s\n", task.task.c_str(),
                static_cast<long long>(task.pairs), task.score_before, task.score_after,
                task.difference.value, range, static_cast<long long>(task.better),
                static_cast<long long>(task.worse), task.p, task.after.c_str());
  }
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
