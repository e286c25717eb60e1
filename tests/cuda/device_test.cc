// What needs a GPU. Without one every test reports skipped, and why.
#include <gtest/gtest.h>

#include "core/backend/cuda_backend.h"
#include "core/backend/devices.h"
#include "tests/cuda/device_ops.h"

namespace binocle {
namespace {

TEST(CudaDevice, IsOneThatTheKernelsAreFor) {
  const CudaDevices found = FindCudaDevices();
  if (found.devices.empty()) GTEST_SKIP() << found.why_none;
  const CudaDevice& device = found.devices[0];
  EXPECT_TRUE(device.supported) << device.name << " is of compute capability " << device.major
                                << '.' << device.minor;
  EXPECT_GT(device.multiprocessors, 0);
  EXPECT_GT(device.memory_bytes, int64_t{1} << 30);
}

TEST(CudaDevice, OpsAreThoseOfTheHost) {
  const CudaDevices found = FindCudaDevices();
  if (found.devices.empty()) GTEST_SKIP() << found.why_none;
  Exec host(2), gpu(2, std::make_unique<CudaBackend>(0));
  for (const testing::DeviceDifference& difference : testing::CompareDeviceOps(host, gpu))
    EXPECT_TRUE(difference.within()) << difference.what << " is off by " << difference.off;
}

}  // namespace
}  // namespace binocle
