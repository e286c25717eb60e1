#include "simt_module.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "attention/attention_whole_cuda.h"
#include "core/backend/cuda/copy.h"
#include "core/backend/cuda/ranks_cuda.h"
#include "core/convert.h"
#include "core/error.h"
#include "core/ops/gemm_cuda.h"

namespace binocle {
namespace {

constexpr size_t kDeviceBytes = size_t{4} << 30;
constexpr size_t kAllocationUnit = 256;

size_t Rounded(size_t bytes) {
  return (bytes + kAllocationUnit - 1) / kAllocationUnit * kAllocationUnit;
}

// Memory that is shut but while an Opening lives.
class DeviceMemory {
 public:
  DeviceMemory() {
    void* memory =
        mmap(nullptr, kDeviceBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    BINOCLE_CHECK(memory != MAP_FAILED, "the emulator's memory");
    begin_ = static_cast<std::byte*>(memory);
  }
  ~DeviceMemory() { munmap(begin_, kDeviceBytes); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  void* Take(size_t bytes) {
    bytes = Rounded(bytes);
    std::vector<std::byte*>& free = free_[bytes];
    std::byte* memory;
    if (!free.empty()) {
      memory = free.back();
      free.pop_back();
    } else if (used_ + bytes <= kDeviceBytes) {
      memory = begin_ + used_;
      used_ += bytes;
    } else {
      return nullptr;
    }
    sizes_[memory] = bytes;
    taken_ += bytes;
    TheSimtDevices().most_bytes =
        std::max(TheSimtDevices().most_bytes, static_cast<int64_t>(taken_));
    const Opening opening(*this);
    std::memset(memory, 0, bytes);
    return memory;
  }
  void Give(void* memory) {
    const auto found = sizes_.find(static_cast<std::byte*>(memory));
    BINOCLE_CHECK(found != sizes_.end(), "memory that was not taken");
    free_[found->second].push_back(found->first);
    taken_ -= found->second;
    sizes_.erase(found);
  }
  size_t left() const { return kDeviceBytes - used_; }

  class Opening {
   public:
    explicit Opening(const DeviceMemory& memory) : memory_(memory) { Set(PROT_READ | PROT_WRITE); }
    ~Opening() { Set(PROT_NONE); }
    Opening(const Opening&) = delete;
    Opening& operator=(const Opening&) = delete;

   private:
    void Set(int protection) const { mprotect(memory_.begin_, Rounded(memory_.used_), protection); }
    const DeviceMemory& memory_;
  };

 private:
  std::byte* begin_ = nullptr;
  size_t used_ = 0;                                 // as far as something ever was
  size_t taken_ = 0;                                // and is now
  std::map<size_t, std::vector<std::byte*>> free_;  // by size
  std::map<std::byte*, size_t> sizes_;
};

DeviceMemory& Of(void* opened) { return *static_cast<DeviceMemory*>(opened); }

void Count(const CudaRun& run) {
  static std::set<uint64_t> keys;
  if (run.key == 0) return;
  ++TheSimtDevices().runs_of_keys;
  TheSimtDevices().repeated += keys.insert(run.key).second ? 0 : 1;
}

void Run(const CudaRun& run) {
  if (TheSimtDevices().broken || TheSimtDevices().lost)
    Throw(Code::kInternal, "the emulator is told to fail");
  ++TheSimtDevices().runs;
  Count(run);
  cuda::CommandContext context{nullptr, nullptr, nullptr};
  for (size_t i = 0; i < run.piece_count; ++i)
    std::memcpy(run.pieces[i].to, run.pieces[i].from, run.pieces[i].bytes);
  for (size_t i = 0; i < run.step_count; ++i) run.steps[i].function(run.steps[i].work, context);
}

const CudaModule kSimtModule = {
    .device_count = [](CudaModule::Take, void*) -> int32_t { return 1; },
    .device =
        [](int32_t, CudaModule::Device* device, CudaModule::Take name, CudaModule::Take, void* to) {
          *device = {9, 0, 1, int64_t{kDeviceBytes}};
          const std::string text = "the emulator";
          name(to, text.data(), text.size());
          return true;
        },
    .supports = [](int32_t, int32_t) { return true; },
    .open = [](int32_t, CudaModule::Take, void*) -> void* { return new DeviceMemory; },
    .close = [](void* opened) { delete &Of(opened); },
    .allocate = [](void* opened, size_t bytes, CudaModule::Take, void*) -> void* {
      return Of(opened).Take(bytes);
    },
    .release = [](void* opened, void* memory) { Of(opened).Give(memory); },
    .memory =
        [](void* opened, int64_t* free, int64_t* total, CudaModule::Take, void*) {
          *free = static_cast<int64_t>(Of(opened).left());
          *total = int64_t{kDeviceBytes};
          return true;
        },
    .command = &cuda::FindCommand,
    .run =
        [](void* opened, const CudaRun& run, CudaModule::Take problem, void* to) {
          const DeviceMemory::Opening opening(Of(opened));
          try {
            Run(run);
            return true;
          } catch (const std::exception& error) {
            problem(to, error.what(), std::strlen(error.what()));
            return false;
          }
        },
    .write =
        [](void* opened, void* to, const void* from, size_t bytes, CudaModule::Take, void*) {
          const DeviceMemory::Opening opening(Of(opened));
          std::memcpy(to, from, bytes);
          return true;
        },
    .read =
        [](void* opened, void* to, const void* from, size_t bytes, CudaModule::Take, void*) {
          ++TheSimtDevices().reads;
          TheSimtDevices().read_bytes += static_cast<int64_t>(bytes);
          const DeviceMemory::Opening opening(Of(opened));
          std::memcpy(to, from, bytes);
          return true;
        },
    .ranks_version = []() -> int32_t { return 0; },
    .ranks_id = [](CudaModule::RanksId*, CudaModule::Take, void*) { return true; },
    .join_ranks = [](void*, const CudaModule::RanksId&, int32_t, int32_t,
                     const CudaModule::RanksWait&, CudaModule::Take, void*) { return false; },
    .among_ranks = [](void*) { return false; },
    .lost = [](void*) { return TheSimtDevices().lost; },
    .wait = [](void*, CudaModule::Take, void*) { return true; },
};

}  // namespace

const CudaModule& SimtModule() { return kSimtModule; }

SimtDevices& TheSimtDevices() {
  static SimtDevices devices;
  return devices;
}

namespace cuda {
namespace {

float Element(const void* matrix, int64_t at, bool bf16) {
  return bf16 ? F32FromBf16(static_cast<const Bf16*>(matrix)[at].bits)
              : static_cast<const float*>(matrix)[at];
}

// What cuBLASLt is asked for (core/ops/gemm_cuda.h), one element after the other.
void Multiply(const GemmWork& g) {
  std::vector<float> x(static_cast<size_t>(g.depth)), w(static_cast<size_t>(g.depth));
  for (int64_t n = 0; n < g.features; ++n) {
    for (int64_t k = 0; k < g.depth; ++k)
      w[static_cast<size_t>(k)] = Element(g.w, n * g.w_stride + k, g.bf16);
    for (int64_t t = 0; t < g.rows; ++t) {
      float sums[8] = {};
      for (int64_t k = 0; k < g.depth; ++k)
        sums[k % 8] += Element(g.x, t * g.x_stride + k, g.bf16) * w[static_cast<size_t>(k)];
      float sum = 0;
      for (const float s : sums) sum += s;
      float& y = g.y[t * g.y_stride + n];
      y = sum + (g.add ? y : 0.0F) + (g.bias == nullptr ? 0.0F : g.bias[n]);
    }
  }
}

}  // namespace

BINOCLE_COMMAND(kGemm, Multiply(work));
// Of a rank whose others have nothing to add.
BINOCLE_COMMAND(kSumOverRanks, (void)work);
BINOCLE_COMMAND(kTakeFromRankZero, (void)work);
BINOCLE_COMMAND(kGemmBytes, SumBytes(work, c.stream));
BINOCLE_COMMAND(kAttendWhole, AttendWhole(work, nullptr, c.stream));
BINOCLE_COMMAND(kCopyRows,
                for (int64_t r = 0; r < work.rows; ++r)
                    std::memcpy(static_cast<char*>(work.to) + r * work.to_pitch,
                                static_cast<const char*>(work.from) + r * work.from_pitch,
                                static_cast<size_t>(work.bytes)));

}  // namespace cuda
}  // namespace binocle
