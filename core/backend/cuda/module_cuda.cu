#include "core/backend/cuda/module.h"

#include <cuda_runtime.h>

#include <cstring>

#include "core/backend/cuda/check.h"

namespace binocle {
namespace {

// The least that has cp.async and bf16 mma.
constexpr int32_t kLeastMajor = 8;

void Tell(CudaModule::Take take, void* context, const char* text) {
  take(context, text, std::strlen(text));
}

int32_t CountDevices(CudaModule::Take problem, void* context) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return count;
  if (status == cudaErrorNoDevice) return 0;
  Tell(problem, context, cudaGetErrorString(status));
  return -1;
}

bool DescribeDevice(int32_t index, CudaModule::Device* device, CudaModule::Take name,
                    CudaModule::Take problem, void* context) {
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) {
    Tell(problem, context, cudaGetErrorString(status));
    return false;
  }
  *device = {properties.major, properties.minor, properties.multiProcessorCount,
             static_cast<int64_t>(properties.totalGlobalMem)};
  Tell(name, context, properties.name);
  return true;
}

bool Supports(int32_t major, int32_t /*minor*/) { return major >= kLeastMajor; }

}  // namespace
}  // namespace binocle

extern "C" __attribute__((visibility("default"))) const binocle::CudaModule binocle_cuda_1 = {
    .device_count = &binocle::CountDevices,
    .device = &binocle::DescribeDevice,
    .supports = &binocle::Supports,
};
