#include "eval/report/same_questions.h"

#include <set>

#include "core/error.h"

namespace binocle::eval {
namespace {

// Members of a task that say what was asked of whom, and how it counts.
constexpr const char* kSameKeys[] = {"version", "task_sha256", "data",        "all_samples",
                                     "samples", "pictures",    "scorer",      "open_scorer",
                                     "objects", "judge",       "choice_judge"};

std::string Names(const RunFiles& run) {
  std::string names;
  for (const RunTask& task : run.tasks) names += (names.empty() ? "" : ", ") + task.name;
  return names;
}

// The first place where two values differ: "data[0].sha256 is …, not …".
std::string FirstDifference(const Json& found, const Json& wanted, const std::string& place) {
  if (found == wanted) return "";
  if (found.is_object() && wanted.is_object()) {
    for (const auto& [key, value] : wanted.items()) {
      const std::string inside =
          FirstDifference(found.value(key, Json()), value, place + "." + key);
      if (!inside.empty()) return inside;
    }
  }
  if (found.is_array() && wanted.is_array() && found.size() == wanted.size()) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::string inside =
          FirstDifference(found[i], wanted[i], place + "[" + std::to_string(i) + "]");
      if (!inside.empty()) return inside;
    }
  }
  return place + " is " + Printable(found.dump()) + ", not " + Printable(wanted.dump());
}

void CheckSameTask(const RunTask& first, const RunTask& task, const std::string& where) {
  for (const char* member : kSameKeys) {
    const std::string difference =
        FirstDifference(task.about.value(member, Json()), first.about.value(member, Json()),
                        task.name + "." + member);
    if (!difference.empty()) Throw(Code::kFailedPrecondition, where, difference);
  }
  std::set<std::string> ids;
  for (const RunSample& sample : first.samples) ids.insert(sample.id);
  for (const RunSample& sample : task.samples) {
    if (ids.erase(sample.id) == 0)
      Throw(Code::kFailedPrecondition, where, task.name, " has a sample ", Printable(sample.id, 80),
            " that the first run has not");
  }
}

void CheckSameQuestions(const RunFiles& first, const RunFiles& run) {
  const std::string where =
      run.folder + ": is a run over something else than " + first.folder + ": ";
  bool same_tasks = run.tasks.size() == first.tasks.size();
  for (size_t i = 0; same_tasks && i < run.tasks.size(); ++i)
    same_tasks = run.tasks[i].name == first.tasks[i].name;
  if (!same_tasks)
    Throw(Code::kFailedPrecondition, where, "its tasks are ", Names(run), ", not ", Names(first));
  for (size_t i = 0; i < run.tasks.size(); ++i) CheckSameTask(first.tasks[i], run.tasks[i], where);
}

void Flatten(const Json& value, const std::string& place, std::map<std::string, Json>& out) {
  if (!value.is_object() || value.empty()) {
    out[place] = value;
    return;
  }
  for (const auto& [key, inside] : value.items())
    Flatten(inside, place.empty() ? key : place + "." + key, out);
}

}  // namespace

std::vector<RunFiles> ReadComparableRuns(const std::vector<std::string>& folders, size_t least) {
  if (folders.size() < least)
    ThrowInvalid(folders.size(), " runs, expected at least ", least, " folders");
  std::vector<RunFiles> runs;
  for (const std::string& folder : folders) {
    runs.push_back(ReadRunFiles(folder));
    if (!runs.back().run.is_object() || !runs.back().run.value("settings", Json()).is_object())
      Throw(Code::kDataLoss, folder, ": the results have no member binocle.settings");
    if (runs.size() > 1) CheckSameQuestions(runs.front(), runs.back());
  }
  return runs;
}

std::map<std::string, Json> SettingsOf(const RunFiles& run) {
  Json all = run.run;
  for (const char* member : {"format", "limit"}) all.erase(member);
  const Json settings = all.at("settings");
  all.erase("settings");
  for (const auto& [key, value] : settings.items()) {
    if (!value.empty()) all[key] = value;
  }
  for (const RunTask& task : run.tasks) {
    for (const char* member : {"prompt", "generation", "constraint"})
      all["tasks"][task.name][member] = task.about.value(member, Json());
  }
  std::map<std::string, Json> flat;
  Flatten(all, "", flat);
  return flat;
}

std::string SettingsDifference(const RunFiles& first, const RunFiles& run) {
  const auto was = SettingsOf(first);
  const auto is = SettingsOf(run);
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  for (const auto& [key, value] : is) {
    const auto at = was.find(key);
    if (at == was.end()) {
      add(key + " is " + value.dump());
    } else if (at->second != value) {
      add(key + " is " + value.dump() + ", not " + at->second.dump());
    }
  }
  for (const auto& [key, value] : was) {
    if (!is.contains(key)) add(key + " is not there, was " + value.dump());
  }
  return text;
}

}  // namespace binocle::eval
