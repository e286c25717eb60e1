// --shard: which part of a run this process is.
#pragma once

#include <string>

#include "binocle/eval_run.h"

namespace binocle::cli {

struct ShardChoice {
  EvalShard shard;
  std::string from;  // the variable that said so; empty: the command line, or nothing
};

// "2/8" is the third of eight. Empty: what the scheduler says that started this process, the innermost one first:
//   OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE              Open MPI
//   JOB_COMPLETION_INDEX, JOB_COMPLETIONS                   a Kubernetes indexed Job, whose pods get the number of completions by hand
//   SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT             a Slurm array from 0 on without a gap; others are refused
// and one part without any. Throws UsageError for what is no part.
// `ranks`: of processes that compute one model together (--tensor-parallel) there is one part for all. Where they are several, what Open MPI counts are they, and is not read.
ShardChoice ChooseShard(const std::string& text, int64_t ranks);

}  // namespace binocle::cli
