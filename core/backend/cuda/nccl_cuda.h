// NCCL, for the module alone: loaded when ranks join (libnccl.so.2), so that the module loads where it is not installed.
#pragma once

#include <cstdint>

#include "core/backend/cuda/module.h"
#include "core/backend/cuda/stream.h"

namespace binocle::cuda {

bool HasNccl();
// Throws UNIMPLEMENTED without NCCL, INTERNAL with its words where it fails; so does what follows.
CudaModule::RanksId NewRanksId();

// The device that is current, among those of the other processes.
class RanksOfDevices {
 public:
  // Returns when all of them have come.
  RanksOfDevices(const CudaModule::RanksId& id, int32_t rank, int32_t size);
  ~RanksOfDevices();
  RanksOfDevices(const RanksOfDevices&) = delete;
  RanksOfDevices& operator=(const RanksOfDevices&) = delete;

  bool joined() const { return communicator_ != nullptr; }
  // On the stream, in place. Captured in a graph on all ranks or on none.
  void Sum(float* values, int64_t count, Stream stream);
  void TakeFromZero(float* values, int64_t count, Stream stream);
  // What waits for the others ends; nothing of the above goes any more.
  void Abandon() noexcept;

 private:
  void* communicator_ = nullptr;
};

}  // namespace binocle::cuda
