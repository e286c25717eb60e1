#include "core/backend/cuda/nccl_cuda.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <chrono>
#include <thread>
#include <utility>

#include "core/backend/cuda/ranks_cuda.h"
#include "core/backend/cuda/symbols.h"
#include "core/error.h"

namespace binocle::cuda {
namespace {

// What we use of NCCL 2, whose numbers and calls are the same in all of its versions. Its header is not needed, so neither is a build beside it.
using NcclStatus = int;
constexpr NcclStatus kNcclSuccess = 0;
constexpr NcclStatus kNcclInProgress = 7;
constexpr int kNcclFloat = 7;
constexpr int kNcclSum = 0;

// As 2.14 has it, the first that need not wait. Its fields say how much of it there is and of which version it is, and later ones take what it lacks as not set.
struct NcclConfig {
  size_t size = sizeof(NcclConfig);
  unsigned int magic = 0xcafebeef;
  unsigned int version = 21400;
  int blocking = 0;
};

constexpr std::chrono::milliseconds kBetweenLooks{100};
// Of an event, and of NCCL's state: as often as a step's time is not lengthened by it, without a processor for it alone.
constexpr std::chrono::microseconds kBetweenQueries{20};
// Two to a layer, of which each begins about ten kernels; the queue of launches takes about a thousand, and then the host waits inside CUDA, where nobody looks at anything.
constexpr int64_t kSumsToPace = 32;

struct Nccl {
  NcclStatus (*get_version)(int* version);
  NcclStatus (*get_unique_id)(CudaModule::RanksId* id);
  NcclStatus (*init_rank)(void** communicator, int size, CudaModule::RanksId id, int rank,
                          NcclConfig* config);
  NcclStatus (*async_error)(void* communicator, NcclStatus* status);
  NcclStatus (*all_reduce)(const void* from, void* to, size_t count, int type, int operation,
                           void* communicator, cudaStream_t stream);
  NcclStatus (*broadcast)(const void* from, void* to, size_t count, int type, int root,
                          void* communicator, cudaStream_t stream);
  NcclStatus (*abort)(void* communicator);
  const char* (*error_string)(NcclStatus status);
};

// Null where there is none. Loaded once, and never closed: it has threads.
const Nccl* FindNccl() {
  static const Nccl* found = []() -> const Nccl* {
    void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    static Nccl nccl;
    const bool all = library != nullptr &&
                     FindSymbol(library, "ncclGetVersion", nccl.get_version) &&
                     FindSymbol(library, "ncclGetUniqueId", nccl.get_unique_id) &&
                     FindSymbol(library, "ncclCommInitRankConfig", nccl.init_rank) &&
                     FindSymbol(library, "ncclCommGetAsyncError", nccl.async_error) &&
                     FindSymbol(library, "ncclAllReduce", nccl.all_reduce) &&
                     FindSymbol(library, "ncclBroadcast", nccl.broadcast) &&
                     FindSymbol(library, "ncclCommAbort", nccl.abort) &&
                     FindSymbol(library, "ncclGetErrorString", nccl.error_string);
    return all ? &nccl : nullptr;
  }();
  return found;
}

const Nccl& TheNccl() {
  const Nccl* nccl = FindNccl();
  if (nccl == nullptr)
    Throw(Code::kUnimplemented, "libnccl.so.2 cannot be loaded, or is older than 2.14");
  return *nccl;
}

void CheckNccl(NcclStatus status, const char* what) {
  if (status != kNcclSuccess) Throw(Code::kInternal, what, ": ", TheNccl().error_string(status));
}

void CheckEvent(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  Throw(Code::kInternal, what, ": ", cudaGetErrorString(status));
}

}  // namespace

int32_t NcclVersion() {
  int version = 0;
  const Nccl* nccl = FindNccl();
  if (nccl == nullptr || nccl->get_version(&version) != kNcclSuccess) return 0;
  return version;
}

CudaModule::RanksId NewRanksId() {
  CudaModule::RanksId id{};
  CheckNccl(TheNccl().get_unique_id(&id), "an id for the ranks");
  return id;
}

RanksOfDevices::RanksOfDevices(const CudaModule::RanksId& id, int32_t rank, int32_t size,
                               const CudaModule::RanksWait& wait)
    : wait_(wait) {
  try {
    for (cudaEvent_t& pace : paces_)
      CheckEvent(cudaEventCreateWithFlags(&pace, cudaEventDisableTiming), "an event");
    NcclConfig config;
    Settle(TheNccl().init_rank(&communicator_, size, id, rank, &config), "joining the other ranks");
  } catch (...) {
    Abandon();
    for (const cudaEvent_t pace : paces_)
      if (pace != nullptr) cudaEventDestroy(pace);
    throw;
  }
}

RanksOfDevices::~RanksOfDevices() {
  Abandon();
  for (const cudaEvent_t pace : paces_) cudaEventDestroy(pace);
}

// Abort waits for nobody: the others may have ended in the middle of something.
void RanksOfDevices::Abandon() noexcept {
  if (communicator_ != nullptr) TheNccl().abort(communicator_);
  communicator_ = nullptr;
}

template <typename Done>
void RanksOfDevices::WaitUntil(const Done& done, const char* what) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const Clock::time_point end = begin + std::chrono::milliseconds(wait_.milliseconds);
  Clock::time_point look = begin + kBetweenLooks;
  try {
    while (!done()) {
      const Clock::time_point now = Clock::now();
      if (now >= look) {
        look = now + kBetweenLooks;
        if (!wait_.go_on(wait_.context)) Throw(Code::kUnavailable, what, ": another rank has left");
      }
      if (now >= end)
        Throw(Code::kUnavailable, what, ": the other ranks did not come to it within ",
              wait_.milliseconds / 1000, " s");
      std::this_thread::sleep_for(kBetweenQueries);
    }
  } catch (...) {
    Abandon();
    throw;
  }
}

void RanksOfDevices::Settle(int status, const char* what) {
  if (status != kNcclInProgress) {
    if (status != kNcclSuccess) Abandon();
    return CheckNccl(status, what);
  }
  WaitUntil(
      [&] {
        NcclStatus state = kNcclSuccess;
        CheckNccl(TheNccl().async_error(communicator_, &state), what);
        if (state == kNcclInProgress) return false;
        CheckNccl(state, what);
        return true;
      },
      what);
}

void RanksOfDevices::Await(cudaEvent_t event) {
  WaitUntil(
      [&] {
        const cudaError_t status = cudaEventQuery(event);
        if (status == cudaSuccess) return true;
        if (status != cudaErrorNotReady) CheckEvent(status, "waiting");
        cudaGetLastError();
        NcclStatus state = kNcclSuccess;
        CheckNccl(TheNccl().async_error(communicator_, &state), "waiting for a sum over ranks");
        CheckNccl(state == kNcclInProgress ? kNcclSuccess : state, "a sum over ranks");
        return false;
      },
      "waiting for a sum over ranks");
}

void RanksOfDevices::Pace(Stream stream) {
  if (++sums_ % kSumsToPace != 0) return;
  std::swap(paces_[0], paces_[1]);
  CheckEvent(cudaEventRecord(paces_[0], static_cast<cudaStream_t>(stream)), "a sum over ranks");
  if (sums_ > kSumsToPace) Await(paces_[1]);
}

void RanksOfDevices::Sum(float* values, int64_t count, Stream stream) {
  Pace(stream);
  Settle(TheNccl().all_reduce(values, values, static_cast<size_t>(count), kNcclFloat, kNcclSum,
                              communicator_, static_cast<cudaStream_t>(stream)),
         "a sum over ranks");
}

void RanksOfDevices::TakeFromZero(float* values, int64_t count, Stream stream) {
  Settle(TheNccl().broadcast(values, values, static_cast<size_t>(count), kNcclFloat, 0,
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
