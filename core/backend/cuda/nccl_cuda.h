// NCCL, for the module alone: loaded when ranks join (libnccl.so.2), so that the module loads where it is not installed.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/backend/cuda/module.h"
#include "core/backend/cuda/stream.h"

namespace binocle::cuda {

// As NCCL counts: 22809 is 2.28.9. 0 where it cannot be loaded, or is older than 2.14 and waits without an end.
int32_t NcclVersion();
// Throws UNIMPLEMENTED without NCCL, INTERNAL with its words where it fails; so does what follows.
CudaModule::RanksId NewRanksId();

// The device that is current, among those of the other processes. Nothing here waits longer than `wait` says: where a call fails, or the others do not come, it throws, and leaves them.
class RanksOfDevices {
 public:
  // Returns when all of them have come.
  RanksOfDevices(const CudaModule::RanksId& id, int32_t rank, int32_t size,
                 const CudaModule::RanksWait& wait);
  ~RanksOfDevices();
  RanksOfDevices(const RanksOfDevices&) = delete;
  RanksOfDevices& operator=(const RanksOfDevices&) = delete;

  bool joined() const { return communicator_ != nullptr; }
  // On the stream, in place. Captured in a graph on all ranks or on none.
  void Sum(float* values, int64_t count, Stream stream);
  void TakeFromZero(float* values, int64_t count, Stream stream);
  // Until the stream has come to where the event was recorded.
  void Await(cudaEvent_t event);

 private:
  // Until done() says so.
  template <typename Done>
  void WaitUntil(const Done& done, const char* what);
  // Until NCCL has done what it was asked for, which `status` may say is still to come.
  void Settle(int status, const char* what);
  // Before a sum: as many layers behind the host as keep the device busy, and no more.
  void Pace(Stream stream);
  // What waits for the others ends; nothing of the above goes any more.
  void Abandon() noexcept;

  CudaModule::RanksWait wait_;
  void* communicator_ = nullptr;
  cudaEvent_t paces_[2] = {};  // the last one, and the one before
  int64_t sums_ = 0;
};

}  // namespace binocle::cuda
