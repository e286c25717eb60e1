// Several runs over the same questions that differ in settings: what a setting gains, against what it costs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "eval/report/html.h"
#include "eval/report/run_files.h"

namespace binocle::eval {

struct SweptRun {
  const RunFiles* run = nullptr;
  std::map<std::string, Json> settings;  // of Sweep::names, those that it has
};

struct Sweep {
  // Settings with different values; those of interventions first. What some runs have and others have not, always with the same values,
  // is one setting by the name of the whole, "interventions.var", which is "on".
  std::vector<std::string> names;
  std::vector<SweptRun> runs;  // as given
};

// `runs` must outlive it.
Sweep SweepOf(const std::vector<RunFiles>& runs);

// A run's settings in short: "var.p=0.2"; its folder where nothing differs.
std::string LabelOf(const Sweep& sweep, const SweptRun& run);

// The runs as curves: points are joined along the setting with the most values that are numbers, a curve for each choice of the others.
// In a curve points come in the order of that setting; without one every run is alone. Indices of runs.
struct SweepCurve {
  std::string name;
  std::vector<size_t> runs;
};
std::vector<SweepCurve> CurvesOf(const Sweep& sweep);

// Mean tokens of prompts and answers, for each answer.
double TokensPerAnswer(const RunTask& task);

// Curves of score against tokens, and against time where all runs have one, for each task. `estimates` are the tasks of the first run,
// then those of the second, ….
Html SweepSections(const Sweep& sweep, const std::vector<EvalEstimate>& estimates);

}  // namespace binocle::eval
