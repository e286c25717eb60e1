// One task of two runs, sample by sample.
#pragma once

#include "binocle/eval_report.h"
#include "eval/report/run_files.h"

namespace binocle::eval {

// `after` beside `before`, which have samples with the same ids in any order (ReadComparableRuns).
EvalTaskComparison CompareTask(const RunTask& before, const RunTask& after,
                               const EvalResampling& resampling);

}  // namespace binocle::eval
