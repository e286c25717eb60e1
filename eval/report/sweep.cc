#include "eval/report/sweep.h"

#include <algorithm>
#include <set>

#include "eval/report/charts.h"
#include "eval/report/incomplete.h"
#include "eval/report/same_questions.h"

namespace binocle::eval {
namespace {

constexpr std::string_view kInterventions = "interventions.";

std::string ShortName(const std::string& name) {
  return name.starts_with(kInterventions) ? name.substr(kInterventions.size()) : name;
}

std::string ValueText(const SweptRun& run, const std::string& name) {
  const auto at = run.settings.find(name);
  if (at == run.settings.end() || at->second.is_null()) return "–";
  return at->second.is_string() ? at->second.get<std::string>() : at->second.dump();
}

// The setting along which points are joined; empty: there is none.
std::string AxisOf(const Sweep& sweep) {
  std::string axis;
  size_t most = 1;
  for (const std::string& name : sweep.names) {
    std::set<std::string> values;
    bool numbers = true;
    for (const SweptRun& run : sweep.runs) {
      const auto at = run.settings.find(name);
      if (at == run.settings.end()) continue;
      numbers = numbers && at->second.is_number();
      values.insert(at->second.dump());
    }
    if (!numbers || values.size() <= most) continue;
    most = values.size();
    axis = name;
  }
  return axis;
}

std::string NameWithout(const Sweep& sweep, const SweptRun& run, const std::string& axis) {
  std::string text;
  for (const std::string& name : sweep.names) {
    if (name == axis) continue;
    text += (text.empty() ? "" : ", ") + ShortName(name) + "=" + ValueText(run, name);
  }
  return text;
}

// By setting, the values of the runs that have it.
std::map<std::string, std::set<std::string>> ValuesOf(const Sweep& sweep) {
  std::map<std::string, std::set<std::string>> values;
  for (const SweptRun& run : sweep.runs) {
    for (const auto& [name, value] : run.settings) values[name].insert(value.dump());
  }
  return values;
}

// "interventions.var" of "interventions.var.p"
std::string RootOf(const std::string& name) {
  const size_t first = name.find('.');
  return first == std::string::npos ? name : name.substr(0, name.find('.', first + 1));
}

// What some runs have and others have not, always with the same values, is one setting: "interventions.var" is "on".
void AddSwitches(Sweep& sweep) {
  std::set<std::string> varied;
  for (const std::string& name : sweep.names) varied.insert(RootOf(name));
  std::map<std::string, std::set<size_t>> having;
  for (size_t i = 0; i < sweep.runs.size(); ++i) {
    for (const auto& [name, value] : sweep.runs[i].settings) having[RootOf(name)].insert(i);
  }
  for (const auto& [root, runs] : having) {
    if (varied.contains(root) || runs.size() == sweep.runs.size()) continue;
    sweep.names.push_back(root);
    for (const size_t i : runs) sweep.runs[i].settings[root] = "on";
  }
}

double NumberOf(const SweptRun& run, const std::string& axis) {
  const auto at = run.settings.find(axis);
  return at != run.settings.end() && at->second.is_number() ? at->second.get<double>() : 0;
}

// Cost of a run in a task; nothing where it is not known of all.
using CostOf = std::optional<double> (*)(const RunFiles& run, const RunTask& task);

Html CostCurves(const Sweep& sweep, size_t task, const std::vector<EvalEstimate>& estimates,
                CostOf cost_of, std::string_view cost_name) {
  const size_t tasks = sweep.runs[0].run->tasks.size();
  const std::string axis = AxisOf(sweep);
  std::vector<Curve> curves;
  bool any_missing = false;
  for (const SweepCurve& one : CurvesOf(sweep)) {
    Curve curve{.name = one.name};
    for (const size_t i : one.runs) {
      const SweptRun& run = sweep.runs[i];
      const auto cost = cost_of(*run.run, run.run->tasks[task]);
      if (!cost) return {};
      const EvalEstimate& estimate = estimates[i * tasks + task];
      if (!estimate.score) continue;
      any_missing = any_missing || estimate.incomplete();
      const bool on_axis = !axis.empty() && run.settings.contains(axis);
      curve.points.push_back({.x = *cost,
                              .y = *estimate.score,
                              .label = on_axis ? ValueText(run, axis) : LabelOf(sweep, run),
                              .missing = MissingText(estimate)});
    }
    if (!curve.points.empty()) curves.push_back(std::move(curve));
  }
  if (curves.empty()) return {};
  Html html = Curves(curves, cost_name, estimates[task].metric, estimates[task].most);
  std::string note = axis.empty() ? "" : "Numbers are " + ShortName(axis) + ".";
  if (any_missing) note += " Rings with a star are not of all samples.";
  if (!note.empty()) html += Element("p", "note", Escaped(note));
  return Element("div", "", html);
}

Html CostTable(const Sweep& sweep, size_t task, const std::vector<EvalEstimate>& estimates) {
  const size_t tasks = sweep.runs[0].run->tasks.size();
  Table table{.head = {"run", estimates[task].metric + " (95 %)", "", "tokens an answer",
                       "seconds an answer"},
              .narrow = Narrow::kCards};
  for (size_t i = 0; i < sweep.runs.size(); ++i) {
    const RunFiles& run = *sweep.runs[i].run;
    const EvalEstimate& estimate = estimates[i * tasks + task];
    const std::string label = LabelOf(sweep, sweep.runs[i]);
    Html name = Escaped(label);
    if (label != run.folder) name += Element("span", "folder", Escaped(run.folder));
    table.rows.push_back({name, Interval(estimate.score) + WhatIsMissing(estimate),
                          IntervalBar(estimate.score, 0, estimate.most),
                          Escaped(Number(TokensPerAnswer(run.tasks[task]), 1)),
                          Escaped(run.seconds_per_answer ? Number(*run.seconds_per_answer) : "–")});
  }
  return Render(table);
}

}  // namespace

Sweep SweepOf(const std::vector<RunFiles>& runs) {
  Sweep sweep;
  for (const RunFiles& run : runs) sweep.runs.push_back({.run = &run, .settings = SettingsOf(run)});
  for (const auto& [name, values] : ValuesOf(sweep)) {
    if (values.size() > 1) sweep.names.push_back(name);
  }
  AddSwitches(sweep);
  std::stable_partition(sweep.names.begin(), sweep.names.end(),
                        [](const std::string& name) { return name.starts_with(kInterventions); });
  for (SweptRun& run : sweep.runs)
    std::erase_if(run.settings, [&](const auto& setting) {
      return std::find(sweep.names.begin(), sweep.names.end(), setting.first) == sweep.names.end();
    });
  return sweep;
}

std::string LabelOf(const Sweep& sweep, const SweptRun& run) {
  std::string text;
  for (const std::string& name : sweep.names) {
    if (run.settings.contains(name))
      text += (text.empty() ? "" : ", ") + ShortName(name) + "=" + ValueText(run, name);
  }
  if (!text.empty()) return text;
  return sweep.names.empty() ? run.run->folder : "without";
}

std::vector<SweepCurve> CurvesOf(const Sweep& sweep) {
  const std::string axis = AxisOf(sweep);
  std::vector<SweepCurve> curves;
  for (size_t i = 0; i < sweep.runs.size(); ++i) {
    const SweptRun& run = sweep.runs[i];
    const bool on_axis = !axis.empty() && run.settings.contains(axis);
    const std::string name = on_axis ? NameWithout(sweep, run, axis) : LabelOf(sweep, run);
    const auto at = std::find_if(curves.begin(), curves.end(), [&](const SweepCurve& curve) {
      return on_axis && curve.name == name;
    });
    if (at == curves.end()) {
      curves.push_back({.name = name, .runs = {i}});
    } else {
      at->runs.push_back(i);
    }
  }
  for (SweepCurve& curve : curves)
    std::stable_sort(curve.runs.begin(), curve.runs.end(), [&](size_t a, size_t b) {
      return NumberOf(sweep.runs[a], axis) < NumberOf(sweep.runs[b], axis);
    });
  return curves;
}

double TokensPerAnswer(const RunTask& task) {
  int64_t tokens = 0;
  int64_t answers = 0;
  for (const RunSample& sample : task.samples) {
    if (!sample.prediction) continue;
    tokens += sample.prompt_tokens + sample.completion_tokens;
    ++answers;
  }
  return answers == 0 ? 0 : static_cast<double>(tokens) / static_cast<double>(answers);
}

Html SweepSections(const Sweep& sweep, const std::vector<EvalEstimate>& estimates) {
  Html html;
  for (size_t task = 0; task < sweep.runs[0].run->tasks.size(); ++task) {
    Html section = Element("h2", "", Escaped(sweep.runs[0].run->tasks[task].name));
    section += CostTable(sweep, task, estimates);
    const Html by_time = CostCurves(
        sweep, task, estimates,
        [](const RunFiles& run, const RunTask&) { return run.seconds_per_answer; },
        "seconds an answer, all tasks");
    const Html by_tokens = CostCurves(
        sweep, task, estimates,
        [](const RunFiles&, const RunTask& one) -> std::optional<double> {
          return TokensPerAnswer(one);
        },
        "tokens an answer, with the prompt");
    section += Element("div", "curves", by_time + by_tokens);
    html += Element("section", "", section);
  }
  return html;
}

}  // namespace binocle::eval
