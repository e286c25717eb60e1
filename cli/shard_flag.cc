#include "cli/shard_flag.h"

#include <optional>

#include "cli/commands.h"
#include "cli/process_variables.h"
#include "cli/ranges.h"

namespace binocle::cli {
namespace {

constexpr int64_t kMostShards = 1 << 16;

const std::string kOrSay = "or say --shard";

int64_t IntegerOr(const char* name, int64_t fallback) {
  const auto value = Variable(name);
  return value ? IntegerVariable(name, *value, kOrSay) : fallback;
}

std::optional<ShardChoice> FromVariables(const char* index_name, const char* count_name) {
  const auto place = PlaceFromVariables(index_name, count_name, kOrSay);
  if (!place) return std::nullopt;
  return ShardChoice{{place->index, place->count}, place->from};
}

// Slurm counts the tasks of an array, not the parts of a run: where one part of sixteen is submitted again (--array=3), it says 1. So only an
// array that can be a whole run, numbers from 0 on without a gap, speaks for itself.
void CheckSlurmArray() {
  if (!Variable("SLURM_ARRAY_TASK_ID")) return;
  const int64_t first = IntegerOr("SLURM_ARRAY_TASK_MIN", 0);
  const int64_t count = IntegerOr("SLURM_ARRAY_TASK_COUNT", 1);
  const int64_t last = IntegerOr("SLURM_ARRAY_TASK_MAX", count - 1);
  if (first == 0 && last == count - 1) return;
  throw UsageError{"SLURM_ARRAY_TASK_MIN, _MAX and _COUNT are " + std::to_string(first) + ", " +
                   std::to_string(last) + " and " + std::to_string(count) +
                   ", which may be some of the parts of a larger run, expected an array from 0 on "
                   "without a gap; or say --shard $SLURM_ARRAY_TASK_ID/N"};
}

}  // namespace

ShardChoice ChooseShard(const std::string& text, int64_t ranks) {
  if (!text.empty()) {
    const size_t slash = text.find('/');
    EvalShard shard;
    const bool read = slash != std::string::npos &&
                      ReadNumber(text.substr(0, slash), shard.index) &&
                      ReadNumber(text.substr(slash + 1), shard.count);
    if (!read || shard.count < 1 || shard.count > kMostShards || shard.index < 0 ||
        shard.index >= shard.count)
      throw UsageError{"--shard is " + text + ", expected I/N with 0 <= I < N, such as 0/4"};
    return {shard, ""};
  }
  if (ranks == 1) {
    const auto mpi = FromVariables("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
    if (mpi) return *mpi;
  }
  if (const auto job = FromVariables("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")) return *job;
  CheckSlurmArray();
  const auto slurm = FromVariables("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT");
  return slurm.value_or(ShardChoice{});
}

}  // namespace binocle::cli
