// Which runs may be put beside each other.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "eval/report/run_files.h"

namespace binocle::eval {

// All runs, in order. Throws like ReadRunFiles, INVALID_ARGUMENT for less than `least`, and FAILED_PRECONDITION, with what differs from the
// first, for runs whose tasks, task versions, data or samples are not the same. How they were asked (prompt, generation, model) may differ.
std::vector<RunFiles> ReadComparableRuns(const std::vector<std::string>& folders, size_t least);

// How a run was asked otherwise than `first`: "interventions.var.p is 0.6, not 0.2"; empty where it was not.
std::string SettingsDifference(const RunFiles& first, const RunFiles& run);

// All that may change an answer, flat: "interventions.var.p" to 0.6, "tasks.scenes.prompt.name" to "default".
std::map<std::string, Json> SettingsOf(const RunFiles& run);

}  // namespace binocle::eval
