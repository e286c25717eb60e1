// What the CUDA module offers: libbinocle_cuda.so behind C functions, as others find it with dlsym.
//
// All CUDA code is in this one library, which is loaded when somebody asks for a device. Nothing else links CUDA, and the module links the runtime, never
// libcuda: where there is no driver it loads, and says that there is no device. It has its own copy of what it uses of ours, so texts go over as
// pointer and length, valid for the call, and nothing is thrown across. Where a function returns false or null, `problem` has got why.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/backend/cuda/command.h"

namespace binocle {

// Commands in their order, and the bytes that they read.
struct CudaRun {
  struct
      Piece {  // host memory that is copied to the device first; free again when the call returns
    const void* from;
    void* to;
    size_t bytes;
  };
  struct Step {
    cuda::CommandFunction function;
    const void* work;
  };
  const Piece* pieces;
  size_t piece_count;
  const Step* steps;
  size_t step_count;
  // Steps of equal functions and works have equal keys, which may be kept as a graph; 0: not.
  uint64_t key;
};

struct CudaModule {
  // Receives a text; must not throw.
  using Take = void (*)(void* context, const char* text, size_t size);

  struct Device {
    int32_t major;  // compute capability
    int32_t minor;
    int32_t multiprocessors;
    int64_t memory_bytes;
  };

  // How many devices there are. −1, and CUDA's words, where it cannot tell: no driver, or one that is too old.
  int32_t (*device_count)(Take problem, void* context);
  // Of device `index`, and its name. False, and what went wrong.
  bool (*device)(int32_t index, Device* device, Take name, Take problem, void* context);
  // Whether the module has kernels for a device of this capability.
  bool (*supports)(int32_t major, int32_t minor);

  // A device with a stream of its own. What follows takes one, by one thread at a time.
  void* (*open)(int32_t index, Take problem, void* context);
  void (*close)(void* opened);
  // Zeroed, at a multiple of 256. Null and no text: it has not so much.
  void* (*allocate)(void* opened, size_t bytes, Take problem, void* context);
  void (*release)(void* opened, void* memory);
  bool (*memory)(void* opened, int64_t* free, int64_t* total, Take problem, void* context);
  // A command by its name, or null.
  cuda::CommandFunction (*command)(const char* name);
  // Begins them; does not wait.
  bool (*run)(void* opened, const CudaRun& run, Take problem, void* context);
  // In order with what runs. write: `from` is free again when the call returns. read: waits.
  bool (*write)(void* opened, void* to, const void* from, size_t bytes, Take problem,
                void* context);
  bool (*read)(void* opened, void* to, const void* from, size_t bytes, Take problem, void* context);
  // Devices of several processes. The version of NCCL, 0 where it cannot be loaded or is too old; what names a group of devices, of one rank and told to the others; and to be one of them.
  struct RanksId {
    char bytes[128];
  };
  int32_t (*ranks_version)();
  bool (*ranks_id)(RanksId* id, Take problem, void* context);
  // How long it waits for others, from then on and whatever it is that waits. `go_on` is asked now and then meanwhile, by the thread that waits.
  struct RanksWait {
    int64_t milliseconds;
    bool (*go_on)(void* context);
    void* context;
  };
  bool (*join_ranks)(void* opened, const RanksId& id, int32_t rank, int32_t size,
                     const RanksWait& wait, Take problem, void* context);
  // Whether it is still one of them: not once NCCL has failed, or a wait ended for want of the others. What had begun has ended then, undone.
  bool (*among_ranks)(void* opened);
  // Whether the device answers nothing any more, whatever it is asked: a fault that lasts.
  bool (*lost)(void* opened);
  // Until all has run.
  bool (*wait)(void* opened, Take problem, void* context);
};

// The module's one symbol, a CudaModule; its name changes with the struct.
inline constexpr const char* kCudaModuleSymbol = "binocle_cuda_4";

}  // namespace binocle
