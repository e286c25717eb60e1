// The engine's tests with the emulator for a device.
#include <gtest/gtest.h>

#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

const bool on_the_emulator = [] {
  testing::TestDevice() = "cuda:0";
  return true;
}();

TEST(EmulatedEngine, IsOnTheDevice) {
  const Engine engine = testing::LoadEngine(BINOCLE_TEST_DATA "/binocle_vo", {});
  EXPECT_TRUE(on_the_emulator);
  EXPECT_EQ(engine.info().device, "cuda:0");
  EXPECT_EQ(engine.info().device_note, "");
}

}  // namespace
}  // namespace binocle
