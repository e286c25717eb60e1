#include "cli/eval_output.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "binocle/error.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

bool IsShard(const EvalResult& result) { return result.shard.count > 1; }

std::string ShardName(const EvalResult& result) {
  return std::to_string(result.shard.index) + "/" + std::to_string(result.shard.count);
}

// Failed samples of all tasks; of a shard, those of this process.
int64_t FailedSamples(const EvalResult& result) {
  if (IsShard(result)) return result.progress.failed;
  int64_t failed = 0;
  for (const EvalTaskResult& task : result.tasks) failed += task.failed;
  return failed;
}

Json ResultJson(const EvalResult& result) {
  Json tasks = Json::array();
  for (const EvalTaskResult& task : result.tasks) {
    Json json = {{"task", task.task},
                 {"scorer", task.scorer},
                 {"metric", task.metric},
                 {"higher_is_better", task.higher_is_better},
                 {"score", task.score ? Json(*task.score) : Json()},
                 {"samples", task.samples},
                 {"answered", task.answered},
                 {"failed", task.failed},
                 {"empty", task.empty},
                 {"incomplete_groups", task.incomplete_groups},
                 {"skipped", task.skipped},
                 {"unread_bytes", task.unread_bytes ? Json(*task.unread_bytes) : Json()},
                 {"samples_file", task.samples_file}};
    if (!task.judge_file.empty()) json["judge_file"] = task.judge_file;
    tasks.push_back(std::move(json));
  }
  const bool complete = result.complete && FailedSamples(result) == 0 &&
                        std::none_of(result.tasks.begin(), result.tasks.end(),
                                     [](const EvalTaskResult& task) { return task.incomplete(); });
  Json json = {{"complete", complete}, {"results_file", result.results_file}, {"tasks", tasks}};
  if (IsShard(result)) json["shard"] = ShardName(result);
  return json;
}

void PrintTasks(const EvalResult& result) {
  std::printf("%-18s %-18s %-9s %10s %9s %8s %7s %7s %8s\n", "task", "scorer", "metric", "score",
              "samples", "answered", "failed", "empty", "skipped");
  for (const EvalTaskResult& task : result.tasks) {
    std::printf("%-18s %-18s %-9s %10s %9lld %8lld %7lld %7lld %8lld\n", task.task.c_str(),
                task.scorer.empty() ? "judge" : task.scorer.c_str(), task.metric.c_str(),
                ScoreText(task.score, task.incomplete()).c_str(),
                static_cast<long long>(task.samples), static_cast<long long>(task.answered),
                static_cast<long long>(task.failed), static_cast<long long>(task.empty),
                static_cast<long long>(task.skipped));
  }
  for (const EvalTaskResult& task : result.tasks) {
    if (!task.incomplete() || !task.score) continue;
    const std::string line = IncompleteText(task.task, task.answered, task.samples,
                                            task.incomplete_groups, task.unread_bytes);
    std::printf("%s\n", line.c_str());
  }
  for (const EvalTaskResult& task : result.tasks) {
    if (!task.judge_file.empty())
      std::printf("for the judge of %s: %s\n", task.task.c_str(), task.judge_file.c_str());
  }
  std::printf("results: %s\n", result.results_file.c_str());
}

void PrintText(const EvalResult& result) {
  if (!result.complete) return;
  if (!IsShard(result)) return PrintTasks(result);
  std::printf("shard %s: %lld samples, %lld failed; binocle eval merge puts all shards together\n",
              ShardName(result).c_str(), static_cast<long long>(result.progress.total),
              static_cast<long long>(result.progress.failed));
}

std::string Percent(const char* what, int64_t part, int64_t whole) {
  if (whole == 0) return "";
  return std::string("  ") + what + " " + std::to_string(100 * part / whole) + " %";
}

}  // namespace

std::string ScoreText(const std::optional<double>& score, bool incomplete) {
  if (!score) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.4f%s", *score, incomplete ? "*" : "");
  return text;
}

std::string IncompleteText(const std::string& task, int64_t answered, int64_t samples,
                           int64_t incomplete_groups, const std::optional<int64_t>& unread_bytes) {
  std::vector<std::string> missing;
  if (answered < samples)
    missing.push_back("of " + std::to_string(answered) + " of " + std::to_string(samples) +
                      " samples alone");
  if (incomplete_groups > 0)
    missing.push_back(
        "without " + std::to_string(incomplete_groups) +
        (incomplete_groups == 1 ? " group that is not whole" : " groups that are not whole"));
  if (unread_bytes)
    missing.push_back("the data was not read to its end, " + std::to_string(*unread_bytes) +
                      " bytes are left");
  std::string text = "* " + task;
  for (size_t i = 0; i < missing.size(); ++i) text += (i == 0 ? ": " : ", ") + missing[i];
  return text;
}

void FinishEval(const std::string& command, const EvalResult& result, OutputForm form) {
  if (form == OutputForm::kJson) {
    std::cout << Line(ResultJson(result)) << '\n';
  } else {
    PrintText(result);
  }
  FlushOutput();
  if (!result.complete)
    throw Error(Code::kCancelled, command + ": stopped with " +
                                      std::to_string(result.progress.done) + " of " +
                                      std::to_string(result.progress.total) +
                                      " samples done; the same command goes on from there");
  const int64_t failed = FailedSamples(result);
  if (failed == 0) return;
  const char* again =
      command == "eval merge"
          ? "; their parts, run again (--shard I/N), ask them again, and then a merge"
          : "; binocle eval run, given again, asks them again";
  std::string message =
      command + ": " + std::to_string(failed) + " samples failed and are counted apart" + again;
  if (!result.first_failure.empty()) message += "; the first: " + result.first_failure;
  throw Error(Code::kFailedPrecondition, message);
}

void EvalProgressLine::Update(const EvalProgress& progress) {
  if (!line_) {
    line_ = std::make_unique<Progress>("asking", progress.total, progress.resumed);
    return;
  }
  std::string note;
  if (progress.failed > 0) note += "  " + std::to_string(progress.failed) + " failed";
  note += Percent("pictures", progress.image_hits, progress.images);
  note += Percent("prefixes", progress.prefix_tokens, progress.prompt_tokens);
  if (progress.scored > 0) {
    char score[32];
    std::snprintf(score, sizeof score, "  score %.3f", progress.score);
    note += score;
  }
  line_->Advance(note.empty() ? note : note.substr(2));
}

}  // namespace binocle::cli
