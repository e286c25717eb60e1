#include "core/backend/cuda/opened_cuda.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/copy.h"
#include "core/error.h"
#include "core/ops/gemm_cuda.h"

namespace binocle::cuda {
namespace {

// Steps of decoding: a graph for each number of sequences and of parts of keys that is going on.
constexpr size_t kMostGraphs = 64;
// The rest of a pass, when ranks end together.
constexpr std::chrono::seconds kToFinish{2};

void CheckCall(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next launch would be blamed
  Throw(Code::kInternal, what, ": ", cudaGetErrorString(status));
}

}  // namespace

OpenedDevice::OpenedDevice(int32_t index) : index_(index) {
  try {
    Use();
    CheckCall(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
    for (Slot& slot : slots_) {
      CheckCall(cudaMallocHost(&slot.memory, kSlotBytes), "pinned memory");
      CheckCall(cudaEventCreateWithFlags(&slot.copied, cudaEventDisableTiming), "an event");
    }
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = index;
    CheckCall(cudaMemPoolCreate(&pool_, &properties), "a memory pool");
    // What is released stays ours while we are here: a request's buffers come and go.
    uint64_t everything = UINT64_MAX;
    CheckCall(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &everything),
              "a memory pool");
    products_ = NewProducts();
    if (products_ == nullptr) Throw(Code::kInternal, "cuBLASLt cannot be set up");
  } catch (...) {
    Close();
    throw;
  }
}

OpenedDevice::~OpenedDevice() { Close(); }

// A sum that other ranks never come to would be waited for without an end.
void OpenedDevice::LeaveRanks() noexcept {
  if (!ranks_) return;
  const auto until = std::chrono::steady_clock::now() + kToFinish;
  while (cudaStreamQuery(stream_) == cudaErrorNotReady && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  ranks_.reset();
}

void OpenedDevice::Close() noexcept {
  cudaSetDevice(index_);
  LeaveRanks();
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  for (const Graph& graph : graphs_)
    if (graph.exec != nullptr) cudaGraphExecDestroy(graph.exec);
  kept_.Clear();
  if (products_ != nullptr) DeleteProducts(products_);
  for (const Slot& slot : slots_) {
    if (slot.memory != nullptr) cudaFreeHost(slot.memory);
    if (slot.copied != nullptr) cudaEventDestroy(slot.copied);
  }
  if (reached_ != nullptr) cudaEventDestroy(reached_);
  if (pool_ != nullptr) cudaMemPoolDestroy(pool_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
  cudaGetLastError();
}

// The current device is a thread's, and threads change.
void OpenedDevice::Use() const { CheckCall(cudaSetDevice(index_), "the device"); }

void* OpenedDevice::Allocate(size_t bytes) {
  Use();
  void* memory = nullptr;
  const cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream_);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  CheckCall(status, "memory");
  CheckCall(cudaMemsetAsync(memory, 0, bytes, stream_), "clearing memory");
  return memory;
}

void OpenedDevice::Release(void* memory) {
  Use();
  CheckCall(cudaFreeAsync(memory, stream_), "releasing memory");
}

void OpenedDevice::Memory(int64_t* free, int64_t* total) {
  Use();
  size_t left = 0, all = 0;
  CheckCall(cudaMemGetInfo(&left, &all), "how much memory is free");
  uint64_t held = 0, used = 0;  // what the pool has and nobody uses is free as well
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &held);
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used);
  *free = static_cast<int64_t>(left + held - used);
  *total = static_cast<int64_t>(all);
}

void OpenedDevice::Upload(void* to, const void* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kSlotBytes) {
    const Slot& slot = slots_[next_slot_];
    next_slot_ = (next_slot_ + 1) % kSlots;
    const size_t count = std::min(bytes - at, kSlotBytes);
    Await(slot.copied, "an upload");
    std::memcpy(slot.memory, static_cast<const char*>(from) + at, count);
    CheckCall(cudaMemcpyAsync(static_cast<char*>(to) + at, slot.memory, count,
                              cudaMemcpyHostToDevice, stream_),
              "an upload");
    CheckCall(cudaEventRecord(slot.copied, stream_), "an upload");
  }
}

void OpenedDevice::RunSteps(const CudaRun& run) {
  CommandContext context{stream_, products_, &kept_, ranks_.get()};
  for (size_t i = 0; i < run.step_count; ++i) run.steps[i].function(run.steps[i].work, context);
}

OpenedDevice::Graph& OpenedDevice::GraphOf(uint64_t key) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    graphs_.splice(graphs_.begin(), graphs_, found->second);
    return graphs_.front();
  }
  if (graphs_.size() == kMostGraphs) {
    if (graphs_.back().exec != nullptr) cudaGraphExecDestroy(graphs_.back().exec);
    by_key_.erase(graphs_.back().key);
    graphs_.pop_back();
  }
  graphs_.push_front({.key = key});
  by_key_[key] = graphs_.begin();
  return graphs_.front();
}

cudaGraphExec_t OpenedDevice::Capture(const CudaRun& run) {
  CheckCall(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "a graph");
  bool captured = true;
  try {
    RunSteps(run);
  } catch (...) {
    // A step that no graph can have, or that found no memory: it tells again when it runs by itself. Whatever it was, a stream may not be left capturing.
    captured = false;
  }
  cudaGraph_t graph = nullptr;
  captured = cudaStreamEndCapture(stream_, &graph) == cudaSuccess && captured;
  cudaGraphExec_t exec = nullptr;
  captured = captured && cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess;
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
  return captured ? exec : nullptr;
}

// Steps that are seen a second time become a graph: those of a prompt come once, and making a graph costs more than it saves then. Products have chosen
// their algorithms by then, which takes memory that a capture may not.
void OpenedDevice::Run(const CudaRun& run) {
  Use();
  for (size_t i = 0; i < run.piece_count; ++i)
    Upload(run.pieces[i].to, run.pieces[i].from, run.pieces[i].bytes);
  // Of a step with other ranks either all make a graph or none does, and they do not see the same keys.
  if (run.key == 0 || ranks_ != nullptr) return RunSteps(run);
  const bool seen = by_key_.contains(run.key);
  Graph& graph = GraphOf(run.key);
  if (!seen || graph.never) return RunSteps(run);
  if (graph.exec == nullptr) graph.exec = Capture(run);
  if (graph.exec == nullptr) {
    graph.never = true;
    return RunSteps(run);
  }
  CheckCall(cudaGraphLaunch(graph.exec, stream_), "a graph");
}

void OpenedDevice::Write(void* to, const void* from, size_t bytes) {
  Use();
  Upload(to, from, bytes);
}

void OpenedDevice::Read(void* to, const void* from, size_t bytes) {
  Use();
  for (size_t at = 0; at < bytes; at += kSlotBytes) {
    const Slot& slot = slots_[next_slot_];
    next_slot_ = (next_slot_ + 1) % kSlots;
    const size_t count = std::min(bytes - at, kSlotBytes);
    Await(slot.copied, "a download");
    CheckCall(cudaMemcpyAsync(slot.memory, static_cast<const char*>(from) + at, count,
                              cudaMemcpyDeviceToHost, stream_),
              "a download");
    Wait();
    std::memcpy(static_cast<char*>(to) + at, slot.memory, count);
  }
}

void OpenedDevice::JoinRanks(const CudaModule::RanksId& id, int32_t rank, int32_t size,
                             const CudaModule::RanksWait& wait) {
  Use();
  CheckCall(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming), "an event");
  ranks_ = std::make_unique<RanksOfDevices>(id, rank, size, wait);
}

// Of an error that lasts, every call's; of any other, no second one's.
bool OpenedDevice::Lost() {
  cudaSetDevice(index_);
  cudaGetLastError();
  const cudaError_t status = cudaStreamQuery(stream_);
  cudaGetLastError();
  return status != cudaSuccess && status != cudaErrorNotReady;
}

void OpenedDevice::Await(cudaEvent_t event, const char* what) {
  if (AmongRanks()) return ranks_->Await(event);
  CheckCall(cudaEventSynchronize(event), what);
}

void OpenedDevice::Wait() {
  Use();
  if (!AmongRanks()) return CheckCall(cudaStreamSynchronize(stream_), "waiting");
  CheckCall(cudaEventRecord(reached_, stream_), "waiting");
  ranks_->Await(reached_);
}

namespace {

// One piece where rows lie one after the other: a plain copy, which graphs like better.
void CopyRowsOnDevice(const CopyRowsWork& work, cudaStream_t stream) {
  const auto bytes = static_cast<size_t>(work.bytes), rows = static_cast<size_t>(work.rows);
  if (bytes == 0 || rows == 0) return;
  const bool dense =
      work.rows == 1 || (work.from_pitch == work.bytes && work.to_pitch == work.bytes);
  CheckCall(
      dense ? cudaMemcpyAsync(work.to, work.from, bytes * rows, cudaMemcpyDeviceToDevice, stream)
            : cudaMemcpy2DAsync(work.to, static_cast<size_t>(work.to_pitch), work.from,
                                static_cast<size_t>(work.from_pitch), bytes, rows,
                                cudaMemcpyDeviceToDevice, stream),
      "copying rows");
}

}  // namespace

BINOCLE_COMMAND(kCopyRows, CopyRowsOnDevice(work, static_cast<cudaStream_t>(c.stream)));

}  // namespace binocle::cuda
