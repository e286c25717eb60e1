// A GPU as ops see it: memory, and a queue of commands.
//
// Ops do not launch: they add commands (core/backend/cuda/command.h), which begin together at the next Flush, or when somebody reads memory. So a pass of
// a few hundred launches crosses into the module once, what it reads of the host goes over in one copy, and a pass that equals an earlier one
// is launched as one graph.
//
//   const int32_t* positions = cuda.Upload(std::span(host_positions));   // there for the commands that follow, until the next Flush
//   cuda.Run(kRope, {… .positions = positions …});
//   cuda.Read(logits, host, bytes);                                      // flushes and waits
// One thread at a time, but for Free.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include "core/backend/cuda/module.h"
#include "core/backend/devices.h"

namespace binocle {

class Communicator;

class CudaBackend {
 public:
  // Opens device `index` of the module that this process has. Throws UNAVAILABLE where there is no such device, UNIMPLEMENTED for one that the module
  // has no kernels for.
  explicit CudaBackend(int32_t index);
  ~CudaBackend();
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  const CudaDevice& device() const { return device_; }

  // Zeroed memory of the device, at a multiple of 256. Throws RESOURCE_EXHAUSTED.
  void* Allocate(int64_t bytes);
  // Once the commands that were added before have run. From any thread: pictures are dropped by whoever used them last.
  void Free(void* memory) noexcept;
  int64_t allocated_bytes() const { return allocated_bytes_; }

  // Adds a command. What `work` points to is the device's.
  template <typename Work>
  void Run(const cuda::CudaCommand<Work>& command, const std::type_identity_t<Work>& work) {
    Work bytes = work;
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&bytes);  // or equal works would differ, and never be one graph
#endif
    Add(command.name, &bytes, sizeof(Work));
  }
  // Host values where commands can read them, until the next Flush. The same values of the same place are uploaded once between two flushes.
  template <typename T>
  const T* Upload(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    return static_cast<const T*>(UploadBytes(values.data(), values.size_bytes()));
  }
  // What ops need between their own commands; each a buffer of its own, which grows.
  enum class Scratch : uint8_t {
    kRows,     // x, as a product takes it
    kWeights,  // a matrix, expanded
    kSums,     // of products of bytes
    kHidden,   // a product on its way to an activation
    kQueries,  // q, as attention takes it
    kParts,    // of attention over parts of the keys
    kContent,  // of attention under segment policies
    kWhole,    // of attention by a library
    kNumbers,  // that somebody is about to read; the last one
  };
  // At least so many bytes of undefined value, until the same is asked for again. At a multiple of 256.
  void* Get(Scratch which, int64_t bytes);
  template <typename T>
  T* Get(Scratch which, int64_t count) {
    return static_cast<T*>(Get(which, count * static_cast<int64_t>(sizeof(T))));
  }

  // What a folder's ops keep with the device, made when it is first asked for: plans of the last step, and the like.
  template <typename T>
  T& Kept() {
    std::shared_ptr<void>& kept = kept_[std::type_index(typeid(T))];
    if (!kept) kept = std::make_shared<T>();
    return *static_cast<T*>(kept.get());
  }

  // Connects the devices of all ranks, each of which calls it, for the commands of core/backend/cuda/ranks_cuda.h; NCCL does, found when it is asked for.
  // UNIMPLEMENTED where the system has none. From then on whatever waits does so as long as the communicator would; where NCCL fails or another rank does not come, the
  // communicator is left, and the call is UNAVAILABLE.
  void JoinRanks(Communicator& communicator);
  // Why the device does nothing any more, once a call has failed and so would all others; empty while it does.
  const std::string& lost() const { return lost_; }

  void Flush();
  // After all that was added. Write: `from` is free again at once. Read waits.
  void Write(void* to, const void* from, int64_t bytes);
  void Read(const void* from, void* to, int64_t bytes);
  void Wait();

  // Commands since the device was opened, and flushes: for tests and benchmarks.
  int64_t commands() const { return commands_; }
  int64_t flushes() const { return flushes_; }

 private:
  // Host bytes and their place on the device.
  struct Chunk {
    std::vector<std::byte> host;
    void* device = nullptr;
    size_t used = 0;
  };

  struct Uploaded {
    const void* from;
    const std::byte* host;
    const std::byte* device;
    size_t bytes;
  };

  void ReleaseFreed();
  // Flush, but for what was uploaded.
  void Launch();
  void Add(const char* name, const void* work, size_t bytes);
  const void* UploadBytes(const void* values, size_t bytes);
  Chunk& ChunkFor(size_t bytes);
  // Throws INTERNAL with what the module said, UNAVAILABLE where it is about other ranks.
  void Check(bool ok, const char* what);

  const CudaModule& module_;
  CudaDevice device_;
  void* opened_ = nullptr;
  std::string problem_;
  Communicator* communicator_ = nullptr;  // of JoinRanks
  std::string lost_;

  std::unordered_map<const char*, cuda::CommandFunction> functions_;
  std::vector<std::byte> works_;  // of the commands that wait, one after the other
  struct Waiting {
    cuda::CommandFunction function;
    size_t work;  // in works_
    size_t bytes;
  };
  std::vector<Waiting> waiting_;
  std::vector<Chunk> chunks_;
  std::vector<Uploaded> uploaded_;  // since the last flush
  std::vector<CudaRun::Step> steps_;
  std::vector<CudaRun::Piece> pieces_;

  std::unordered_map<std::type_index, std::shared_ptr<void>> kept_;
  std::unordered_map<void*, int64_t> sizes_;
  int64_t allocated_bytes_ = 0;
  struct Buffer {
    void* memory = nullptr;
    int64_t bytes = 0;
  };
  std::array<Buffer, static_cast<size_t>(Scratch::kNumbers) + 1> scratch_;
  std::mutex freed_mutex_;
  std::vector<void*> freed_;  // since the last flush; guarded by freed_mutex_
  int64_t commands_ = 0;
  int64_t flushes_ = 0;
};

}  // namespace binocle
