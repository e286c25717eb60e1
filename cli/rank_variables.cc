#include "cli/rank_variables.h"

#include <algorithm>
#include <array>
#include <string>

#include "cli/commands.h"
#include "cli/process_variables.h"

namespace binocle::cli {
namespace {

const std::string kOtherwise = "start the processes with torchrun, mpirun or srun";

struct Launcher {
  const char* rank;
  const char* size;
  const char* local_rank;
};
constexpr std::array kLaunchers = {
    Launcher{"RANK", "WORLD_SIZE", "LOCAL_RANK"},
    Launcher{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    Launcher{"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}};

// torchrun's agent keeps MASTER_PORT for its own store, and says so.
bool PortIsTaken() { return Variable("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True"; }

}  // namespace

bool StartedAsRank() {
  return std::ranges::any_of(
      kLaunchers, [](const Launcher& launcher) { return Variable(launcher.rank).has_value(); });
}

RankOfProcess ChooseRank(int64_t ranks) {
  for (const Launcher& launcher : kLaunchers) {
    const auto place = PlaceFromVariables(launcher.rank, launcher.size, kOtherwise);
    if (!place) continue;
    if (place->count != ranks)
      throw UsageError{"--tensor-parallel is " + std::to_string(ranks) + " and " + launcher.size +
                       " is " + std::to_string(place->count) + ", expected the same; " +
                       kOtherwise};
    RankOfProcess found;
    found.tensor_parallel.ranks = ranks;
    found.tensor_parallel.rank = place->index;
    if (const auto address = Variable("MASTER_ADDR")) found.tensor_parallel.address = *address;
    if (const auto port = Variable("MASTER_PORT"))
      found.tensor_parallel.port = IntegerVariable("MASTER_PORT", *port, kOtherwise);
    if (PortIsTaken()) ++found.tensor_parallel.port;
    if (const auto local = Variable(launcher.local_rank))
      found.local_rank = IntegerVariable(launcher.local_rank, *local, kOtherwise);
    return found;
  }
  throw UsageError{"--tensor-parallel is " + std::to_string(ranks) +
                   ", and neither RANK nor OMPI_COMM_WORLD_RANK nor SLURM_PROCID says which of the "
                   "processes this is; " +
                   kOtherwise};
}

}  // namespace binocle::cli
