// What the CUDA module offers: libbinocle_cuda.so behind C functions, as others find it with dlsym.
//
// All CUDA code is in this one library, which is loaded when somebody asks for a device. Nothing else links CUDA, and the module links the runtime, never
// libcuda: where there is no driver it loads, and says that there is no device. It has its own copy of what it uses of ours, so texts go over as
// pointer and length, valid for the call, and nothing is thrown across.
#pragma once

#include <cstddef>
#include <cstdint>

namespace binocle {

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
};

// The module's one symbol, a CudaModule; its name changes with the struct.
inline constexpr const char* kCudaModuleSymbol = "binocle_cuda_1";

}  // namespace binocle
