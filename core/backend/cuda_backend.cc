#include "core/backend/cuda_backend.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/parallel/communicator.h"

namespace binocle {
namespace {

// Of a command's argument within works_, and of what is uploaded: vectors of 16 bytes are read from it.
constexpr size_t kWorkAlignment = 16;
// What is uploaded takes whole granules, so that lists that grow by a few numbers from step to step leave the others' places alone, and the
// step's commands equal to the last one's.
constexpr size_t kUploadGranule = 1024;
constexpr size_t kChunkBytes = size_t{1} << 20;
// Passes through a model come again; what is shorter is somebody who reads a number, and what is longer a prompt's.
constexpr size_t kLeastInGraph = 48;
constexpr size_t kMostInGraph = 4096;

size_t RoundUp(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

void TakeProblem(void* context, const char* text, size_t size) {
  static_cast<std::string*>(context)->append(text, size);
}

// Of commands that are launched again and again: two that differ meet once in 2⁶⁴.
class Hash {
 public:
  void Add(const void* data, size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (; bytes >= 8; bytes -= 8, at += 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      Mix(word);
    }
    uint64_t last = bytes;
    std::memcpy(&last, at, bytes);
    Mix(last);
  }
  uint64_t key() const { return state_ == 0 ? 1 : state_; }

 private:
  void Mix(uint64_t word) {
    state_ = (state_ ^ word) * 0x9E3779B97F4A7C15ULL;
    state_ ^= state_ >> 29;
  }
  uint64_t state_ = 0x243F6A8885A308D3ULL;
};

// CudaModule::RanksWait, of a communicator.
bool AreAllThere(void* communicator) {
  try {
    static_cast<Communicator*>(communicator)->Check();
    return true;
  } catch (const Error&) {
    return false;  // it says why to whoever asks next
  }
}

CudaDevice DeviceAt(int32_t index) {
  const CudaDevices found = FindCudaDevices();
  if (found.devices.empty()) Throw(Code::kUnavailable, found.why_none);
  return SupportedDevice(found, index);
}

const CudaModule& Module() {
  std::string problem;
  const CudaModule* module = FindCudaModule(problem);
  if (module == nullptr) Throw(Code::kUnavailable, problem);
  return *module;
}

}  // namespace

CudaBackend::CudaBackend(int32_t index) : module_(Module()), device_(DeviceAt(index)) {
  opened_ = module_.open(index, &TakeProblem, &problem_);
  if (opened_ == nullptr) Throw(Code::kInternal, device_.name, ": ", problem_);
}

CudaBackend::~CudaBackend() {
  ReleaseFreed();
  for (const Chunk& chunk : chunks_) module_.release(opened_, chunk.device);
  for (const Buffer& buffer : scratch_)
    if (buffer.memory != nullptr) module_.release(opened_, buffer.memory);
  module_.close(opened_);
}

void CudaBackend::JoinRanks(Communicator& communicator) {
  CudaModule::RanksId id{};
  bool has = module_.ranks_version() > 0;
  if (has && communicator.rank() == 0) has = module_.ranks_id(&id, &TakeProblem, &problem_);
  // Whoever has no NCCL says so before the others wait inside theirs.
  float without = has ? 0.0F : 1.0F;
  communicator.Sum({&without, 1});
  const std::string problem = std::exchange(problem_, {});
  if (without > 0) {
    Throw(Code::kUnimplemented,
          "tensor_parallel on GPUs needs NCCL (libnccl.so.2, 2.14 or later), ", "which ",
          static_cast<int64_t>(without), " of ", communicator.size(), " ranks cannot use",
          problem.empty() ? "" : ": ", problem);
  }
  communicator.Broadcast(std::as_writable_bytes(std::span(&id, 1)));
  const CudaModule::RanksWait wait{.milliseconds = communicator.to_answer().count(),
                                   .go_on = &AreAllThere,
                                   .context = &communicator};
  communicator_ = &communicator;
  Check(
      module_.join_ranks(opened_, id, static_cast<int32_t>(communicator.rank()),
                         static_cast<int32_t>(communicator.size()), wait, &TakeProblem, &problem_),
      "NCCL");
}

void CudaBackend::Check(bool ok, const char* what) {
  if (ok) return;
  const std::string problem = internal::Concat(what, ": ", std::exchange(problem_, {}));
  if (module_.lost(opened_) && lost_.empty()) lost_ = problem;
  if (communicator_ == nullptr || module_.among_ranks(opened_)) Throw(Code::kInternal, problem);
  communicator_->Leave("tensor_parallel: " + problem);
  Throw(Code::kUnavailable, communicator_->over());
}

void* CudaBackend::Allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = module_.allocate(opened_, static_cast<size_t>(bytes), &TakeProblem, &problem_);
  if (memory == nullptr && problem_.empty()) {  // perhaps what was freed has it
    Launch();
    memory = module_.allocate(opened_, static_cast<size_t>(bytes), &TakeProblem, &problem_);
  }
  if (memory == nullptr) {
    if (!problem_.empty()) Check(false, "memory of the device");
    int64_t left = 0, total = 0;
    module_.memory(opened_, &left, &total, &TakeProblem, &problem_);
    problem_.clear();
    Throw(Code::kResourceExhausted, device_.name, ": ", bytes, " bytes are asked for, ", left,
          " of ", total, " are free");
  }
  sizes_[memory] = bytes;
  allocated_bytes_ += bytes;
  return memory;
}

void CudaBackend::Free(void* memory) noexcept {
  if (memory == nullptr) return;
  const std::lock_guard lock(freed_mutex_);
  freed_.push_back(memory);
}

// What runs after them on the same stream may have their memory.
void CudaBackend::ReleaseFreed() {
  const std::lock_guard lock(freed_mutex_);
  for (void* memory : freed_) {
    const auto found = sizes_.find(memory);
    allocated_bytes_ -= found->second;
    sizes_.erase(found);
    module_.release(opened_, memory);
  }
  freed_.clear();
}

void CudaBackend::Add(const char* name, const void* work, size_t bytes) {
  auto [function, is_new] = functions_.try_emplace(name, nullptr);
  if (is_new) function->second = module_.command(name);
  if (function->second == nullptr)
    Throw(Code::kUnimplemented, "the CUDA module has no command \"", name, "\"");
  const size_t at = RoundUp(works_.size(), kWorkAlignment);
  works_.resize(at + bytes);
  std::memcpy(works_.data() + at, work, bytes);
  waiting_.push_back({function->second, at, bytes});
  ++commands_;
}

CudaBackend::Chunk& CudaBackend::ChunkFor(size_t bytes) {
  for (Chunk& chunk : chunks_)
    if (chunk.host.size() - chunk.used >= bytes) return chunk;
  Chunk chunk;
  chunk.host.resize(std::max(bytes, kChunkBytes));
  chunk.device = Allocate(std::ssize(chunk.host));
  return chunks_.emplace_back(std::move(chunk));
}

const void* CudaBackend::UploadBytes(const void* values, size_t bytes) {
  if (bytes == 0) return nullptr;
  // Layers ask for the same positions, slots and plans one after the other. Equal values from elsewhere are equal by chance, and to find them would
  // move what comes behind from step to step.
  for (const Uploaded& there : uploaded_) {
    if (there.from == values && there.bytes == bytes && std::memcmp(there.host, values, bytes) == 0)
      return there.device;
  }
  const size_t taken = RoundUp(bytes, kUploadGranule);
  Chunk& chunk = ChunkFor(taken);
  std::byte* host = chunk.host.data() + chunk.used;
  std::byte* device = static_cast<std::byte*>(chunk.device) + chunk.used;
  std::memcpy(host, values, bytes);
  chunk.used += taken;
  uploaded_.push_back({values, host, device, bytes});
  return device;
}

void* CudaBackend::Get(Scratch which, int64_t bytes) {
  Buffer& buffer = scratch_[static_cast<size_t>(which)];
  if (bytes > buffer.bytes) {
    // With room to grow: what has moved is another step, and no graph of the last one.
    const int64_t taken = bytes + bytes / 2;
    Free(std::exchange(buffer.memory, nullptr));
    buffer = {};
    buffer = {Allocate(taken), taken};
  }
  return buffer.memory;
}

// Uploads stay: an op that runs out of memory between two of them goes on with both.
void CudaBackend::Launch() {
  if (waiting_.empty()) return ReleaseFreed();
  steps_.clear();
  pieces_.clear();
  Hash hash;
  for (const Waiting& command : waiting_) {
    const void* work = works_.data() + command.work;
    steps_.push_back({command.function, work});
    hash.Add(&command.function, sizeof command.function);
    hash.Add(work, command.bytes);
  }
  for (const Chunk& chunk : chunks_)
    if (chunk.used > 0) pieces_.push_back({chunk.host.data(), chunk.device, chunk.used});
  const bool comes_again = steps_.size() >= kLeastInGraph && steps_.size() <= kMostInGraph;
  const CudaRun run{.pieces = pieces_.data(),
                    .piece_count = pieces_.size(),
                    .steps = steps_.data(),
                    .step_count = steps_.size(),
                    .key = comes_again ? hash.key() : 0};
  waiting_.clear();  // whatever becomes of them
  ++flushes_;
  const bool ok = module_.run(opened_, run, &TakeProblem, &problem_);
  works_.clear();
  ReleaseFreed();
  Check(ok, device_.name.c_str());
}

void CudaBackend::Flush() {
  // Also where launching throws: the next op begins with nothing.
  struct Forget {
    CudaBackend& cuda;
    ~Forget() {
      for (Chunk& chunk : cuda.chunks_) chunk.used = 0;
      cuda.uploaded_.clear();
    }
  } forget{*this};
  Launch();
}

void CudaBackend::Write(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  Flush();
  Check(module_.write(opened_, to, from, static_cast<size_t>(bytes), &TakeProblem, &problem_),
        device_.name.c_str());
}

void CudaBackend::Read(const void* from, void* to, int64_t bytes) {
  if (bytes == 0) return;
  Flush();
  Check(module_.read(opened_, to, from, static_cast<size_t>(bytes), &TakeProblem, &problem_),
        device_.name.c_str());
}

void CudaBackend::Wait() {
  Flush();
  Check(module_.wait(opened_, &TakeProblem, &problem_), device_.name.c_str());
}

}  // namespace binocle
