// ReportEval: the page of one run, or of several.
#include <utility>

#include "core/error.h"
#include "eval/report/same_questions.h"
#include "eval/report/sweep.h"
#include "eval/report/task_page.h"

namespace binocle {
namespace {

using eval::Element;
using eval::Escaped;
using eval::Html;
using eval::RunFiles;
using eval::TaskReport;

// What every page says of its numbers.
Html HowRead(const EvalResampling& resampling) {
  return Element(
      "p", "note",
      Escaped("In brackets: 95 % percentile intervals of " + std::to_string(resampling.resamples) +
              " bootstrap draws (seed " + std::to_string(resampling.seed) +
              ") of groups of samples with the same pictures. Failed samples have no score and are "
              "counted apart; damaged rows were never asked."));
}

Html OfOneRun(const RunFiles& run, const EvalReportOptions& options, EvalReport& report) {
  Html sections;
  for (const eval::RunTask& task : run.tasks) {
    const TaskReport one = eval::ReportTask(run, task, options);
    report.tasks.push_back(one.estimate);
    sections += eval::TaskSection(run, one, options);
  }
  const Html scores = Element("h2", "", Escaped("Scores")) + eval::ScoresTable(report.tasks) +
                      HowRead(options.resampling);
  const Html settings =
      Element("details", "",
              Element("summary", "", Escaped("How it was asked")) +
                  Element("p", "note",
                          eval::Said(run.run.dump(2, ' ', false, Json::error_handler_t::replace))));
  return Element("section", "", scores + settings) + sections;
}

Html OfSeveralRuns(const std::vector<RunFiles>& runs, const EvalReportOptions& options,
                   EvalReport& report) {
  for (const RunFiles& run : runs) {
    for (const eval::RunTask& task : run.tasks)
      report.tasks.push_back(eval::EstimateTask(run, task, options.resampling));
  }
  const eval::Sweep sweep = eval::SweepOf(runs);
  std::string names;
  for (const std::string& name : sweep.names) names += (names.empty() ? "" : ", ") + name;
  const std::string differs =
      names.empty() ? "The runs do not differ in how they were asked." : "What differs: " + names;
  const Html scores = Element("h2", "", Escaped("Scores")) + eval::ScoresTable(report.tasks) +
                      Element("p", "note", Escaped(differs)) + HowRead(options.resampling);
  return Element("section", "", scores) + eval::SweepSections(sweep, report.tasks);
}

EvalReport Report(const std::vector<RunFiles>& runs, const EvalReportOptions& options) {
  EvalReport report;
  const Html body =
      runs.size() == 1 ? OfOneRun(runs[0], options, report) : OfSeveralRuns(runs, options, report);
  const std::string subtitle =
      runs.size() == 1 ? runs[0].model + " · " + runs[0].folder
                       : std::to_string(runs.size()) + " runs, the first in " + runs[0].folder;
  report.html = eval::Page("Binocle evaluation", subtitle, body);
  return report;
}

}  // namespace

EvalReport ReportEval(const std::vector<std::string>& folders, const EvalReportOptions& options) {
  const std::vector<RunFiles> runs = eval::ReadComparableRuns(folders, 1);
  try {
    return Report(runs, options);
  } catch (const Json::exception& e) {
    Throw(Code::kDataLoss, folders[0], ": the results are damaged: ", e.what());
  }
}

}  // namespace binocle
