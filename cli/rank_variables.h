// --tensor-parallel: which rank this process is, and where it meets the others.
#pragma once

#include "binocle/engine.h"

namespace binocle::cli {

// Of `ranks` processes, where `ranks` is more than one. Reads, the first that is there:
//   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE                      torchrun, and whoever sets them by hand
//   OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE               Open MPI's mpirun
//   SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NTASKS_PER_NODE    srun
//   PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS                MPICH's and Intel's mpiexec; MPICH says nothing of a machine's own
// and MASTER_ADDR and MASTER_PORT (127.0.0.1 and 29500), where rank 0 listens; under torchrun, which listens there itself, at the next port.
// Throws UsageError where none is there, or their number is not `ranks`.
TensorParallel ChooseRank(int64_t ranks);
// Whether one of them is there.
bool StartedAsRank();

}  // namespace binocle::cli
