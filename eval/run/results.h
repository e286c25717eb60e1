// What the results file says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "eval/run/task_scores.h"

namespace binocle::eval {

// What became of one task.
struct TaskOutcome {
  Json head;  // as in the journal
  int64_t answered = 0;
  int64_t empty = 0;
  int64_t cut_off = 0;  // answers that max_new_tokens ended
  int64_t failed = 0;
  int64_t judged = 0;   // answers that are for a judge
  int64_t waiting = 0;  // of these, without a verdict
  std::map<std::string, int64_t> failed_by_code;
  OrderedJson failures =
      OrderedJson::array();  // the first ones: {"id", "place", "code", "message"}
  Headline headline;
  int64_t incomplete_groups = 0;  // left out of the score
  std::optional<double> score;    // of the headline
  std::optional<double> standard_error;
  OrderedJson abilities = OrderedJson::object();
  std::vector<TaskScores::Summary> summaries;
  std::string doc_hash;  // over all samples
};

// Of data files, behind a fault that leaves open what they are. `head`: of a task in the journal.
std::optional<int64_t> UnreadBytesOf(const Json& head);

// lmms-eval's members, and under "binocle" all that is known. Nothing in it depends on when or how often a run was begun.
OrderedJson ResultsJson(const Json& run, const std::vector<TaskOutcome>& tasks);

}  // namespace binocle::eval
