#include "core/backend/cuda/nccl_cuda.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include "core/backend/cuda/ranks_cuda.h"
#include "core/error.h"

namespace binocle::cuda {
namespace {

// What we use of NCCL 2, whose numbers and calls are the same in all of its versions. Its header is not needed, so neither is a build beside it.
using NcclStatus = int;
constexpr NcclStatus kNcclSuccess = 0;
constexpr int kNcclFloat = 7;
constexpr int kNcclSum = 0;

struct Nccl {
  NcclStatus (*get_unique_id)(CudaModule::RanksId* id);
  NcclStatus (*init_rank)(void** communicator, int size, CudaModule::RanksId id, int rank);
  NcclStatus (*all_reduce)(const void* from, void* to, size_t count, int type, int operation,
                           void* communicator, cudaStream_t stream);
  NcclStatus (*broadcast)(const void* from, void* to, size_t count, int type, int root,
                          void* communicator, cudaStream_t stream);
  NcclStatus (*abort)(void* communicator);
  const char* (*error_string)(NcclStatus status);
};

template <typename Function>
bool Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// Null where there is none. Loaded once, and never closed: it has threads.
const Nccl* FindNccl() {
  static const Nccl* found = []() -> const Nccl* {
    void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    static Nccl nccl;
    const bool all = library != nullptr && Find(library, "ncclGetUniqueId", nccl.get_unique_id) &&
                     Find(library, "ncclCommInitRank", nccl.init_rank) &&
                     Find(library, "ncclAllReduce", nccl.all_reduce) &&
                     Find(library, "ncclBroadcast", nccl.broadcast) &&
                     Find(library, "ncclCommAbort", nccl.abort) &&
                     Find(library, "ncclGetErrorString", nccl.error_string);
    return all ? &nccl : nullptr;
  }();
  return found;
}

const Nccl& TheNccl() {
  const Nccl* nccl = FindNccl();
  if (nccl == nullptr) Throw(Code::kUnimplemented, "libnccl.so.2 cannot be loaded");
  return *nccl;
}

void CheckNccl(NcclStatus status, const char* what) {
  if (status != kNcclSuccess) Throw(Code::kInternal, what, ": ", TheNccl().error_string(status));
}

}  // namespace

bool HasNccl() { return FindNccl() != nullptr; }

CudaModule::RanksId NewRanksId() {
  CudaModule::RanksId id{};
  CheckNccl(TheNccl().get_unique_id(&id), "an id for the ranks");
  return id;
}

RanksOfDevices::RanksOfDevices(const CudaModule::RanksId& id, int32_t rank, int32_t size) {
  CheckNccl(TheNccl().init_rank(&communicator_, size, id, rank), "joining the other ranks");
}

RanksOfDevices::~RanksOfDevices() { Abandon(); }

// Abort waits for nobody: the others may have ended in the middle of something.
void RanksOfDevices::Abandon() noexcept {
  if (communicator_ != nullptr) TheNccl().abort(communicator_);
  communicator_ = nullptr;
}

void RanksOfDevices::Sum(float* values, int64_t count, Stream stream) {
  CheckNccl(TheNccl().all_reduce(values, values, static_cast<size_t>(count), kNcclFloat, kNcclSum,
                                 communicator_, static_cast<cudaStream_t>(stream)),
            "a sum over ranks");
}

void RanksOfDevices::TakeFromZero(float* values, int64_t count, Stream stream) {
  CheckNccl(TheNccl().broadcast(values, values, static_cast<size_t>(count), kNcclFloat, 0,
                                communicator_, static_cast<cudaStream_t>(stream)),
            "a broadcast");
}

namespace {

RanksOfDevices& JoinedDevices(const CommandContext& c) {
  if (c.ranks == nullptr || !c.ranks->joined())
    Throw(Code::kUnavailable, "the other ranks are not there");
  return *c.ranks;
}

}  // namespace

BINOCLE_COMMAND(kSumOverRanks, JoinedDevices(c).Sum(work.values, work.count, c.stream));
BINOCLE_COMMAND(kTakeFromRankZero,
                JoinedDevices(c).TakeFromZero(work.values, work.count, c.stream));

}  // namespace binocle::cuda
