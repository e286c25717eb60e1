// Answers to yes-or-no questions as each of POPE's parsers reads them.
#pragma once

#include "eval/report/task_report.h"

namespace binocle::eval {

// Fills yes_no_samples, wanted_yes_ratio and yes_no.
void ReportYesNo(const RunTask& task, const EvalResampling& resampling, TaskReport& report);

}  // namespace binocle::eval
