// What cuDNN says to the attention that we ask of it, without a GPU: it is told of a device, chooses engines for the graph, and generates their
// kernels to see whether they fit. Finishing a plan loads them, which takes a driver. The description has what an H100's handle would have.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "attention/cudnn_sdpa_cuda.h"

namespace binocle::cuda {
namespace {

constexpr std::string_view kHopperDevice = R"({
  "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0, "pciDeviceId": 0, "deviceName": "NVIDIA H100",
  "totalGlobalMem": 85899345920, "multiProcessorCount": 132, "warpSize": 32, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "l2CacheSize": 52428800,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
  "maxCtasPerSM": 32, "regsPerBlock": 65536, "maxRegistersPerSM": 65536, "maxSharedMemoryPerBlock": 49152,
  "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024, "isTccDriver": 0, "supportCoopLaunch": 1})";

// How many of its engines take the shape; −1 where it does not take the question.
int64_t Engines(const Cudnn& cudnn, const WholeShape& shape) {
  std::vector<Descriptor> parts;
  const Descriptor node = SdpaForward(cudnn, shape, parts);
  Descriptor graph(cudnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.Set(CUDNN_ATTR_OPERATIONGRAPH_OPS, node).Finalize();
  Descriptor device(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  // With the zero at its end.
  device
      .Set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
           std::span<const char>(kHopperDevice.data(), kHopperDevice.size() + 1))
      .Finalize();
  Descriptor heuristics(cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.Set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .Set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A)
      .Set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device)
      .Finalize();
  if (!heuristics.good()) return -1;
  std::vector<Descriptor> configurations;
  std::array<cudnnBackendDescriptor_t, 8> raw{};
  for (auto& one : raw)
    one = configurations.emplace_back(cudnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw();
  int64_t count = 0;
  const cudnnStatus_t status =
      cudnn.get(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                std::ssize(raw), &count, raw.data());
  return status == CUDNN_STATUS_SUCCESS ? count : -1;
}

WholeShape Tower(int32_t runs, int32_t rows, int32_t keys, int32_t heads, int32_t head_dim,
                 int32_t kv_row) {
  const int32_t pages = runs * ((keys + 63) / 64);
  return {runs, rows, keys, pages, heads, heads, head_dim, kv_row, int64_t{heads} * head_dim};
}

// Why there is nothing to ask, or nothing.
std::string WhyNot() {
  if (LoadCudnn() == nullptr) return "no libcudnn.so.9 from 9.15 on";
  // Engines that generate their kernels ask the driver's library for their limits, if only the toolkit's stub of it; without one none fits.
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) == nullptr)
    return "no libcuda.so.1; ctest has the toolkit's stub on LD_LIBRARY_PATH (tests/driver of the "
           "build)";
  return "";
}

TEST(CudnnPlans, EnginesTakeTowersAndCrossAttention) {
  if (const std::string why = WhyNot(); !why.empty()) GTEST_SKIP() << why;
  const Cudnn* cudnn = LoadCudnn();
  EXPECT_GE(Engines(*cudnn, Tower(5, 577, 577, 16, 64, 64)), 1)
      << "CLIP ViT-L/14 at 336, a picture in tiles";
  EXPECT_GE(Engines(*cudnn, Tower(1, 729, 729, 16, 72, 80)), 1)
      << "SigLIP so400m at 384, whose keys lie in wider rows";
  EXPECT_GE(Engines(*cudnn, Tower(1, 576, 1369, 4, 96, 96)), 1) << "FtZ over DINOv2 at 518";
}

TEST(CudnnPlans, ASizeThatTensorCoresDoNotTakeHasNone) {
  if (const std::string why = WhyNot(); !why.empty()) GTEST_SKIP() << why;
  const Cudnn* cudnn = LoadCudnn();
  EXPECT_EQ(Engines(*cudnn, Tower(1, 577, 577, 16, 68, 80)), 0);
}

}  // namespace
}  // namespace binocle::cuda
