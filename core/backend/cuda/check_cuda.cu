#include <string>

#include "core/backend/cuda/check.h"
#include "core/error.h"

namespace binocle::cuda {
namespace {
constexpr size_t kSharedWithoutAsking = 48 * 1024;
}  // namespace

void CheckLaunch(const char* kernel) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess)
    Throw(Code::kInternal, "kernel ", kernel, ": ", cudaGetErrorString(status));
}

void AllowShared(const void* kernel, size_t bytes) {
  if (bytes <= kSharedWithoutAsking) return;
  const cudaError_t status = cudaFuncSetAttribute(
      kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next launch would be blamed
  Throw(Code::kInternal, "a kernel wants ", bytes,
        " bytes of shared memory: ", cudaGetErrorString(status));
}

}  // namespace binocle::cuda
