// Scores that are not of all samples, and what pages say below them.
#pragma once

#include <string>

#include "binocle/eval_report.h"
#include "eval/report/html.h"

namespace binocle::eval {

// "incomplete: 95 of 97 answered"; empty, and nothing below the score, where it is of all samples.
std::string MissingText(const EvalEstimate& task);
Html WhatIsMissing(const EvalEstimate& task);
Html WhatIsMissing(const EvalTaskComparison& task);

}  // namespace binocle::eval
