#include "cli/rank_variables.h"

#include <algorithm>
#include <array>
#include <iostream>
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
  const char* local_size;
};
constexpr std::array kLaunchers = {
    Launcher{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    Launcher{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
             "OMPI_COMM_WORLD_LOCAL_SIZE"},
    // Of MPICH and Intel MPI, whose processes inherit the variables of a Slurm job that they are started in.
    Launcher{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
    Launcher{"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"}};

// torchrun's agent keeps MASTER_PORT for its own store, and says so.
bool PortIsTaken() { return Variable("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True"; }

}  // namespace

bool StartedAsRank() {
  return std::ranges::any_of(
      kLaunchers, [](const Launcher& launcher) { return Variable(launcher.rank).has_value(); });
}

TensorParallel ChooseRank(int64_t ranks) {
  for (const Launcher& launcher : kLaunchers) {
    const auto place = PlaceFromVariables(launcher.rank, launcher.size, kOtherwise);
    if (!place) continue;
    if (place->count != ranks)
      throw UsageError{"--tensor-parallel is " + std::to_string(ranks) + " and " + launcher.size +
                       " is " + std::to_string(place->count) + ", expected the same; " +
                       kOtherwise};
    const auto number = [](const char* name, int64_t otherwise) {
      const auto value = Variable(name);
      return value ? IntegerVariable(name, *value, kOtherwise) : otherwise;
    };
    TensorParallel found{.ranks = ranks, .rank = place->index};
    if (const auto address = Variable("MASTER_ADDR")) found.address = *address;
    found.port = number("MASTER_PORT", found.port);
    const int64_t most = PortIsTaken() ? 65534 : 65535;
    if (found.port < 1 || found.port > most)
      throw UsageError{"MASTER_PORT is " + std::to_string(found.port) + ", expected 1 to " +
                       std::to_string(most)};
    if (PortIsTaken()) ++found.port;
    // srun may say PMI's rank, and which of its node's tasks this is under its own name alone.
    found.local_rank = number(launcher.local_rank, number("SLURM_LOCALID", 0));
    // More than there are of a task that has a part of its job's: all of them, then.
    found.local_ranks = std::min(number(launcher.local_size, 0), ranks);
    found.note = [](const std::string& line) { std::cerr << "binocle: " + line + '\n'; };
    return found;
  }
  throw UsageError{
      "--tensor-parallel is " + std::to_string(ranks) +
      ", and none of RANK, OMPI_COMM_WORLD_RANK, SLURM_PROCID and PMI_RANK says which of the "
      "processes this is; " +
      kOtherwise};
}

}  // namespace binocle::cli
