// Which devices there are besides the CPU. Loads the CUDA module when asked; a machine without it, or without a GPU, has none, and why is said.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace binocle {

struct CudaDevice {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int32_t major = 0;
  int32_t minor = 0;
  int32_t multiprocessors = 0;
  int64_t memory_bytes = 0;
  bool supported = false;  // the module has kernels for it
};

struct CudaDevices {
  std::vector<CudaDevice> devices;
  // Where there are none: "this build has no CUDA module", "no CUDA device: CUDA driver version is insufficient for CUDA runtime version".
  std::string why_none;
};

// Never throws for what a machine lacks.
CudaDevices FindCudaDevices();
// The one that is asked for. Throws INVALID_ARGUMENT where there are fewer, UNIMPLEMENTED where the module has no kernels for it.
const CudaDevice& SupportedDevice(const CudaDevices& found, int32_t index);

struct CudaModule;
// The module of this process, loaded once: beside this library or program, or in the lib folder of a build. Null, and why, where there is none.
const CudaModule* FindCudaModule(std::string& problem);
// Another one instead, from now on: the emulator of tests/simt. Before anybody asks for a device.
void UseCudaModule(const CudaModule& module);

// What --device says: "cpu", "cuda" (the first), "cuda:N". Throws INVALID_ARGUMENT for anything else.
struct DeviceName {
  bool cuda = false;
  int32_t index = 0;
};
DeviceName ParseDevice(const std::string& text);

}  // namespace binocle
