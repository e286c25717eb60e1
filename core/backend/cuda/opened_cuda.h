// A device in use: its stream, the pinned memory that what is uploaded goes through, and the graphs of passes that come again. For the module alone.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "core/backend/cuda/module.h"
#include "core/backend/cuda/nccl_cuda.h"

namespace binocle::cuda {

class OpenedDevice {
 public:
  // Throws INTERNAL with CUDA's words.
  explicit OpenedDevice(int32_t index);
  ~OpenedDevice();
  OpenedDevice(const OpenedDevice&) = delete;
  OpenedDevice& operator=(const OpenedDevice&) = delete;

  // Null where the device has not so much left.
  void* Allocate(size_t bytes);
  void Release(void* memory);
  void Run(const CudaRun& run);
  void Write(void* to, const void* from, size_t bytes);
  void Read(void* to, const void* from, size_t bytes);
  void Wait();
  void Memory(int64_t* free, int64_t* total);
  void JoinRanks(const CudaModule::RanksId& id, int32_t rank, int32_t size,
                 const CudaModule::RanksWait& wait);
  bool AmongRanks() const { return ranks_ && ranks_->joined(); }
  bool Lost();

 private:
  // Pinned memory, a piece after the other; a piece is used again once its copy has run.
  struct Slot {
    void* memory = nullptr;
    cudaEvent_t copied = nullptr;
  };
  struct Graph {
    uint64_t key;
    cudaGraphExec_t exec = nullptr;  // null: the steps were seen once
    bool never = false;              // they cannot be one
  };

  void Use() const;
  void Upload(void* to, const void* from, size_t bytes);
  void Close() noexcept;
  void LeaveRanks() noexcept;
  // Until the stream is there. With other ranks not without an end: behind it may be a sum that they never come to.
  void Await(cudaEvent_t event, const char* what);
  void RunSteps(const CudaRun& run);
  Graph& GraphOf(uint64_t key);
  // Null where the steps cannot be a graph.
  cudaGraphExec_t Capture(const CudaRun& run);

  int32_t index_;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ =
      nullptr;  // of our own: nobody else's memory stays with us, and ours goes when this does
  Products* products_ = nullptr;
  KeptWithDevice kept_;
  std::unique_ptr<RanksOfDevices> ranks_;
  cudaEvent_t reached_ = nullptr;  // with other ranks: for waits
  static constexpr int kSlots = 4;
  static constexpr size_t kSlotBytes = size_t{4} << 20;
  Slot slots_[kSlots];
  int next_slot_ = 0;
  std::list<Graph> graphs_;  // most recently used first
  std::unordered_map<uint64_t, std::list<Graph>::iterator> by_key_;
};

}  // namespace binocle::cuda
