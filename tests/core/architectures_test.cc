// Which devices a list of CUDA architectures has code for.
#include "core/backend/cuda/architectures.h"

#include <gtest/gtest.h>

namespace binocle::cuda {
namespace {

TEST(CudaArchitectures, RealCodeIsForItsOwnGenerationFromItsMinorOn) {
  EXPECT_TRUE(BuiltFor("80-real", 8, 0));
  EXPECT_TRUE(BuiltFor("80-real", 8, 6));
  EXPECT_FALSE(BuiltFor("86-real", 8, 0));
  EXPECT_FALSE(BuiltFor("90-real", 8, 0)) << "an A100 with a library for the H100";
  EXPECT_FALSE(BuiltFor("80-real,90-real", 10, 0));
}

TEST(CudaArchitectures, TextIsForAllThatComeLater) {
  EXPECT_TRUE(BuiltFor("80-real,90-real,100", 12, 0));
  EXPECT_TRUE(BuiltFor("80-virtual", 9, 0));
  EXPECT_FALSE(BuiltFor("100", 9, 0));
  EXPECT_TRUE(BuiltFor("80", 8, 9));
}

TEST(CudaArchitectures, CodeWithAnAIsForOneDevice) {
  EXPECT_TRUE(BuiltFor("90a-real", 9, 0));
  EXPECT_FALSE(BuiltFor("90a", 10, 0));
  EXPECT_TRUE(BuiltFor("90a,80", 10, 0));
}

TEST(CudaArchitectures, WordsSayNothingAndOldDevicesHaveNoInstructionsForUs) {
  EXPECT_TRUE(BuiltFor("native", 8, 0));
  EXPECT_TRUE(BuiltFor("all-major", 9, 0));
  EXPECT_FALSE(BuiltFor("70", 7, 5));
  EXPECT_FALSE(BuiltFor("", 9, 0));
}

}  // namespace
}  // namespace binocle::cuda
