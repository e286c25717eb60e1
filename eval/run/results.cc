#include "eval/run/results.h"

#include <utility>

#include "eval/run/names.h"
#include "eval/run/verdicts.h"

namespace binocle::eval {
namespace {

// lmms-eval's spelling of a metric whose answers went through no filter.
std::string Metric(const std::string& name) { return name + ",none"; }

OrderedJson OrNull(const std::optional<double>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

// lmms-eval's tables print it beside the scores: a score of a part says so there too.
std::string AliasOf(const TaskOutcome& task) {
  const auto name = task.head.at("task").get<std::string>();
  if (task.failed > 0) {
    return name + " (incomplete: " + std::to_string(task.answered) + " of " +
           task.head.at("samples").dump() + ")";
  }
  return UnreadBytesOf(task.head) ? name + " (incomplete: data not read to its end)" : name;
}

// {"alias", "exact_match,none": …, "exact_match_stderr,none": …, "samples"}
OrderedJson MetricsJson(const TaskOutcome& task) {
  OrderedJson metrics = {{"alias", AliasOf(task)}};
  const auto add = [&](const std::string& name, const std::optional<double>& mean,
                       const std::optional<double>& error) {
    metrics[Metric(name)] = OrNull(mean);
    metrics[Metric(name + "_stderr")] = error ? OrderedJson(*error) : OrderedJson("N/A");
  };
  add("score", task.score, task.standard_error);
  for (const TaskScores::Summary& summary : task.summaries) {
    add(summary.scorer, summary.mean.mean(), summary.mean.standard_error());
    for (const auto& [name, value] : summary.members.items()) {
      if (value.is_number() && name != "score" && name != "lines")
        metrics[Metric(summary.scorer + "_" + name)] = value;
    }
  }
  metrics["samples"] = task.answered;
  return metrics;
}

OrderedJson ConfigJson(const Json& task) {
  OrderedJson metrics = OrderedJson::array();
  const auto add = [&](const Json& name) {
    if (name != "")
      metrics.push_back({{"metric", name}, {"aggregation", "mean"}, {"higher_is_better", true}});
  };
  add(task.at("scorer"));
  for (const Json& name : task.at("also_scorers")) add(name);
  add(task.at("open_scorer"));
  return {{"task", task.at("task")},
          {"description", task.at("description")},
          {"output_type", "generate_until"},
          {"generation_kwargs",
           {{"max_new_tokens", task.at("generation").at("max_new_tokens")},
            {"temperature", task.at("generation").at("temperature")},
            {"until", task.at("generation").at("stop")}}},
          {"metric_list", std::move(metrics)},
          {"metadata", {{"version", task.at("version")}}}};
}

// Of the numbers that have a direction. CHAIR's two count what is wrong.
OrderedJson HigherIsBetter(const TaskOutcome& task) {
  OrderedJson better = {{"score", task.headline.higher_is_better}};
  for (const TaskScores::Summary& summary : task.summaries) {
    better[summary.scorer] = true;
    if (summary.scorer == "chair") better["chair_chair_s"] = better["chair_chair_i"] = false;
  }
  return better;
}

OrderedJson JudgeJson(const TaskOutcome& task) {
  return {{"name", JudgeNameOf(task.head)},
          {"graded", task.judged - task.waiting},
          {"waiting", task.waiting}};
}

// Whether the score is one of all samples.
bool IsComplete(const TaskOutcome& task) {
  const bool waits = JudgeKindOf(task.head) == JudgeKind::kScore && task.waiting > 0;
  return task.failed == 0 && !waits && task.incomplete_groups == 0 && !UnreadBytesOf(task.head);
}

// All that is known of a task: what it was made of, and what became of it.
OrderedJson TaskJson(const TaskOutcome& task) {
  OrderedJson json = {{"answered", task.answered},
                      {"empty", task.empty},
                      {"cut_off", task.cut_off},
                      {"failed", task.failed},
                      {"failed_by_code", task.failed_by_code},
                      {"failures", task.failures},
                      {"complete", IsComplete(task)},
                      {"incomplete_groups", task.incomplete_groups},
                      {"metric", task.headline.metric},
                      {"higher_is_better", task.headline.higher_is_better},
                      {"score", OrNull(task.score)},
                      {"standard_error", OrNull(task.standard_error)}};
  OrderedJson& scorers = json["scorers"] = OrderedJson::object();
  for (const TaskScores::Summary& summary : task.summaries)
    scorers[summary.scorer] = summary.members;
  if (!task.abilities.empty()) json["abilities"] = task.abilities;
  if (JudgeKindOf(task.head) != JudgeKind::kNone) json["judged"] = JudgeJson(task);
  OrderedJson all = task.head;
  all.update(json);
  return all;
}

}  // namespace

std::optional<int64_t> UnreadBytesOf(const Json& head) {
  const Json& skipped = head.at("skipped");
  if (!skipped.contains("unread_bytes")) return std::nullopt;
  return skipped["unread_bytes"].get<int64_t>();
}

OrderedJson ResultsJson(const Json& run, const std::vector<TaskOutcome>& tasks) {
  OrderedJson results = OrderedJson::object();
  for (const char* member : {"results", "group_subtasks", "configs", "versions", "n-shot",
                             "higher_is_better", "n-samples", "task_hashes"})
    results[member] = OrderedJson::object();
  OrderedJson ours = OrderedJson::object();
  for (const TaskOutcome& task : tasks) {
    const auto name = task.head.at("task").get<std::string>();
    results["results"][name] = MetricsJson(task);
    results["group_subtasks"][name] = OrderedJson::array();
    results["configs"][name] = ConfigJson(task.head);
    results["versions"][name] = task.head.at("version");
    results["n-shot"][name] = 0;
    results["higher_is_better"][name] = HigherIsBetter(task);
    results["n-samples"][name] = {{"original", task.head.at("all_samples")},
                                  {"effective", task.head.at("samples")}};
    results["task_hashes"][name] = task.doc_hash;
    ours[name] = TaskJson(task);
  }
  const auto model = run.at("model_name").get<std::string>();
  results["config"] = {{"model", "binocle"},
                       {"model_args", "pretrained=" + model},
                       {"limit", run.at("limit")},
                       {"random_seed", run.at("request").at("seed")}};
  results["model_source"] = "binocle";
  results["model_name"] = model;
  results["model_name_sanitized"] = FileNameOf(model);
  results["system_instruction"] = run.at("request").at("system");
  OrderedJson rest = run;
  rest.erase("tasks");
  rest["tasks"] = std::move(ours);
  results["binocle"] = std::move(rest);
  return results;
}

}  // namespace binocle::eval
