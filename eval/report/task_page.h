// A task's part of a report.
#pragma once

#include "eval/report/html.h"
#include "eval/report/task_report.h"

namespace binocle::eval {

// `figures` are asked for each sample that is shown.
Html TaskSection(const RunFiles& run, const TaskReport& report, const EvalReportOptions& options);
// A row for each task: score, interval, counts. With the run's name in front where there are several.
Html ScoresTable(const std::vector<EvalEstimate>& tasks);

}  // namespace binocle::eval
