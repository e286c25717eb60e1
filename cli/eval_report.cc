// binocle eval report: a run, or several beside each other, as a page.
#include "binocle/eval_report.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/eval_commands.h"
#include "cli/eval_figures.h"
#include "cli/eval_output.h"
#include "cli/eval_resampling.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/json_output.h"
#include "cli/new_file.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct ReportFlags {
  std::vector<std::string> runs;
  std::string out;
  std::string data;
  EvalReportOptions options;
  ModelFlags model;
  bool overwrite = false;
  bool json = false;

  Overwrite may_overwrite() const { return overwrite ? Overwrite::kAllowed : Overwrite::kRefused; }
};

Json EstimateJson(const EvalEstimate& task) {
  return {{"run", task.run},
          {"task", task.task},
          {"scorer", task.scorer},
          {"metric", task.metric},
          {"higher_is_better", task.higher_is_better},
          {"score", IntervalJson(task.score)},
          {"incomplete_groups", task.incomplete_groups},
          {"samples", task.samples},
          {"groups", task.groups},
          {"answered", task.answered},
          {"failed", task.failed},
          {"empty", task.empty},
          {"skipped", task.skipped},
          {"unread_bytes", task.unread_bytes ? Json(*task.unread_bytes) : Json()},
          {"incomplete", task.incomplete()}};
}

void PrintEstimates(const EvalReport& report, const std::string& out) {
  std::printf("%-18s %-18s %-9s %10s %22s %9s %8s  %s\n", "task", "scorer", "metric", "score",
              "95 %", "samples", "groups", "run");
  const bool several = !report.tasks.empty() && report.tasks.front().run != report.tasks.back().run;
  for (const EvalEstimate& task : report.tasks) {
    char range[48] = "-";
    if (task.score)
      std::snprintf(range, sizeof range, "%.4f to %.4f", task.score->low, task.score->high);
    const auto value = task.score ? std::optional(task.score->value) : std::nullopt;
    std::printf("%-18s %-18s %-9s %10s %22s %9lld %8lld  %s\n", task.task.c_str(),
                task.scorer.c_str(), task.metric.c_str(),
                ScoreText(value, task.incomplete()).c_str(), range,
                static_cast<long long>(task.samples), static_cast<long long>(task.groups),
                task.run.c_str());
  }
  for (const EvalEstimate& task : report.tasks) {
    if (!task.incomplete() || !task.score) continue;
    const std::string name = several ? task.task + ", " + task.run : task.task;
    const std::string line = IncompleteText(name, task.answered, task.samples,
                                            task.incomplete_groups, task.unread_bytes);
    std::printf("%s\n", line.c_str());
  }
  std::printf("report: %s\n", out.c_str());
}

void CheckReport(const ReportFlags& flags, bool explains) {
  if (flags.runs.empty()) throw UsageError{"the run is missing, expected its folder"};
  if (flags.out.empty() && flags.runs.size() > 1)
    throw UsageError{"--out is missing, expected a file: there are several runs"};
  if (!flags.data.empty() && flags.runs.size() > 1)
    throw UsageError{"--data is for the report of one run"};
  if (explains && flags.data.empty())
    throw UsageError{
        "--data is missing, expected the folder of the pictures that --model looks at"};
}

void Report(const ReportFlags& flags, const CLI::App& command) {
  const bool explains = command.count("--model") > 0;
  CheckReport(flags, explains);
  const std::string out = flags.out.empty() ? flags.runs[0] + "/report.html" : flags.out;
  const InterruptFlag interrupt(InterruptFlag::Again::kEnds);
  EvalFigures figures(flags.data, explains ? std::optional(flags.model) : std::nullopt);
  EvalReportOptions options = flags.options;
  options.data = flags.data;
  options.figures = [&](const EvalShownSample& sample) { return figures.Of(sample); };
  std::error_code ignored;  // a run that is not there is told as such
  if (!flags.out.empty() || std::filesystem::is_directory(flags.runs[0], ignored))
    CheckNewFile(out, flags.may_overwrite());
  const EvalReport report = ReportEval(flags.runs, options);
  WriteNewFile(out, report.html, flags.may_overwrite());
  if (flags.json) {
    Json tasks = Json::array();
    for (const EvalEstimate& task : report.tasks) tasks.push_back(EstimateJson(task));
    std::cout << Line({{"report", out}, {"tasks", tasks}}) << '\n';
  } else {
    PrintEstimates(report, out);
  }
  FlushOutput();
}

}  // namespace

void AddEvalReport(CLI::App& eval) {
  CLI::App* command = eval.add_subcommand("report", "Write a page about a run, or about several");
  const auto flags = std::make_shared<ReportFlags>();
  command->add_option("run", flags->runs, "folders of finished runs over the same data")
      ->check(NotEmpty("the run", "a folder"));
  command
      ->add_option("--out", flags->out, "HTML file to write (default: report.html in the folder)")
      ->check(NotEmpty("--out", "a path"));
  command
      ->add_option("--data", flags->data,
                   "the data's folder, for the pictures of the worst answers")
      ->check(NotEmpty("--data", "a path"));
  command->add_option("--worst", flags->options.worst, "how many of the worst answers a task shows")
      ->check(IsInteger("--worst"))
      ->capture_default_str();
  AddResampling(*command, flags->options.resampling);
  command->add_flag("--overwrite", flags->overwrite, "replace the file of --out");
  command->add_flag("--json", flags->json, "print one JSON object");
  flags->model.Add(*command);
  command->get_option("--model")->description(
      "show what the worst answers look at, with this model (default: no maps)");
  command->callback([flags, command] { Report(*flags, *command); });
}

}  // namespace binocle::cli
