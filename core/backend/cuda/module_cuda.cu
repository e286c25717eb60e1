#include "core/backend/cuda/module.h"

#include <cuda_runtime.h>

#include <cstring>
#include <exception>

#include "core/backend/cuda/architectures.h"
#include "core/backend/cuda/nccl_cuda.h"
#include "core/backend/cuda/opened_cuda.h"

namespace binocle {
namespace {

using cuda::OpenedDevice;

void Tell(CudaModule::Take take, void* context, const char* text) {
  take(context, text, std::strlen(text));
}

// Of a call that failed: its words. The thread's last error is cleared, or the next launch would be blamed.
const char* Failure(cudaError_t status) {
  cudaGetLastError();
  return cudaGetErrorString(status);
}

// What `action` returns; `failed`, and why, where it throws.
template <typename Result, typename Action>
Result Guarded(CudaModule::Take problem, void* context, Result failed, const Action& action) {
  try {
    return action();
  } catch (const std::exception& error) {
    Tell(problem, context, error.what());
    return failed;
  }
}
template <typename Action>
bool Succeeds(CudaModule::Take problem, void* context, const Action& action) {
  return Guarded(problem, context, false, [&] {
    action();
    return true;
  });
}

OpenedDevice& Of(void* opened) { return *static_cast<OpenedDevice*>(opened); }

int32_t CountDevices(CudaModule::Take problem, void* context) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return count;
  const char* failure = Failure(status);
  if (status == cudaErrorNoDevice) return 0;
  Tell(problem, context, failure);
  return -1;
}

bool DescribeDevice(int32_t index, CudaModule::Device* device, CudaModule::Take name,
                    CudaModule::Take problem, void* context) {
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) {
    Tell(problem, context, Failure(status));
    return false;
  }
  *device = {properties.major, properties.minor, properties.multiProcessorCount,
             static_cast<int64_t>(properties.totalGlobalMem)};
  Tell(name, context, properties.name);
  return true;
}

bool Supports(int32_t major, int32_t minor) {
  return cuda::BuiltFor(BINOCLE_CUDA_ARCHITECTURES, major, minor);
}

void* Open(int32_t index, CudaModule::Take problem, void* context) {
  return Guarded<void*>(problem, context, nullptr, [&] { return new OpenedDevice(index); });
}

void Close(void* opened) { delete static_cast<OpenedDevice*>(opened); }

void* Allocate(void* opened, size_t bytes, CudaModule::Take problem, void* context) {
  return Guarded<void*>(problem, context, nullptr, [&] { return Of(opened).Allocate(bytes); });
}

void Release(void* opened, void* memory) {
  try {
    Of(opened).Release(memory);
  } catch (const std::exception&) {
    // A device that takes nothing back any more tells at the next call that can say so.
  }
}

bool MemoryLeft(void* opened, int64_t* free, int64_t* total, CudaModule::Take problem,
                void* context) {
  return Succeeds(problem, context, [&] { Of(opened).Memory(free, total); });
}

bool RunCommands(void* opened, const CudaRun& run, CudaModule::Take problem, void* context) {
  return Succeeds(problem, context, [&] { Of(opened).Run(run); });
}

bool Write(void* opened, void* to, const void* from, size_t bytes, CudaModule::Take problem,
           void* context) {
  return Succeeds(problem, context, [&] { Of(opened).Write(to, from, bytes); });
}

bool Read(void* opened, void* to, const void* from, size_t bytes, CudaModule::Take problem,
          void* context) {
  return Succeeds(problem, context, [&] { Of(opened).Read(to, from, bytes); });
}

bool RanksId(CudaModule::RanksId* id, CudaModule::Take problem, void* context) {
  return Succeeds(problem, context, [&] { *id = cuda::NewRanksId(); });
}

bool JoinRanks(void* opened, const CudaModule::RanksId& id, int32_t rank, int32_t size,
               const CudaModule::RanksWait& wait, CudaModule::Take problem, void* context) {
  return Succeeds(problem, context, [&] { Of(opened).JoinRanks(id, rank, size, wait); });
}

bool AmongRanks(void* opened) { return Of(opened).AmongRanks(); }

bool Lost(void* opened) { return Of(opened).Lost(); }

bool Wait(void* opened, CudaModule::Take problem, void* context) {
  return Succeeds(problem, context, [&] { Of(opened).Wait(); });
}

}  // namespace
}  // namespace binocle

extern "C" __attribute__((visibility("default"))) const binocle::CudaModule binocle_cuda_4 = {
    .device_count = &binocle::CountDevices,
    .device = &binocle::DescribeDevice,
    .supports = &binocle::Supports,
    .open = &binocle::Open,
    .close = &binocle::Close,
    .allocate = &binocle::Allocate,
    .release = &binocle::Release,
    .memory = &binocle::MemoryLeft,
    .command = &binocle::cuda::FindCommand,
    .run = &binocle::RunCommands,
    .write = &binocle::Write,
    .read = &binocle::Read,
    .ranks_version = &binocle::cuda::NcclVersion,
    .ranks_id = &binocle::RanksId,
    .join_ranks = &binocle::JoinRanks,
    .among_ranks = &binocle::AmongRanks,
    .lost = &binocle::Lost,
    .wait = &binocle::Wait,
};
