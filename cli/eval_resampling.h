// How sure scores are: options and output that report and compare share.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "binocle/eval_report.h"
#include "cli/json_output.h"

namespace binocle::cli {

// --resamples, --seed.
void AddResampling(CLI::App& command, EvalResampling& resampling);
// {"value", "low", "high"}, or null.
Json IntervalJson(const std::optional<EvalInterval>& interval);

}  // namespace binocle::cli
