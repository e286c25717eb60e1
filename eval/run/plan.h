// What a run asks: its tasks, how many samples each has, and which of them are in which shard. Made from the data alone, so that every
// process that is given the same run makes the same plan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "binocle/eval_run.h"
#include "eval/run/task_samples.h"
#include "eval/task.h"

namespace binocle::eval {

struct PlannedTask {
  Task task;
  ScorerSet scorers;
  std::filesystem::path folder;   // of its data
  std::string prompt;             // the name that the run chose
  TaskGeneration generation;      // with what the run says otherwise
  std::vector<int32_t> shard_of;  // by doc_id: the samples that are asked

  int64_t samples() const { return std::ssize(shard_of); }
};

struct Plan {
  std::vector<PlannedTask> tasks;
  // What the journal says of the run, and all that its files are made of besides the answers (README.md). The same for all shards.
  OrderedJson run;

  // Of one shard.
  int64_t Samples(int64_t shard) const;
};

// Reads all of the data. Throws INVALID_ARGUMENT for options out of range and tasks without samples, NOT_FOUND for data that is not there.
Plan MakePlan(const EvalRun& run);

}  // namespace binocle::eval
