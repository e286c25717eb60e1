#include "core/backend/devices.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace binocle {
namespace {

TEST(Devices, NamesAreTheCpuOrACudaDevice) {
  EXPECT_FALSE(ParseDevice("cpu").cuda);
  EXPECT_TRUE(ParseDevice("cuda").cuda);
  EXPECT_EQ(ParseDevice("cuda").index, 0);
  EXPECT_EQ(ParseDevice("cuda:3").index, 3);
}

TEST(Devices, OtherNamesAreErrors) {
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999"})
    EXPECT_THROW(ParseDevice(text), Error) << text;
}

TEST(Devices, WhereThereAreNoneTheReasonIsSaid) {
  const CudaDevices found = FindCudaDevices();
  EXPECT_EQ(found.devices.empty(), !found.why_none.empty()) << found.why_none;
}

}  // namespace
}  // namespace binocle
