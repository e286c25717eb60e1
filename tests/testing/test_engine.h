// Where tests run models: on the CPU, or on what a program says before its tests begin, as tests/simt does, or BINOCLE_TEST_DEVICE, as tools/gpu does.
#pragma once

#include <cstdlib>
#include <string>
#include <utility>

#include "binocle/engine.h"

namespace binocle::testing {

inline std::string& TestDevice() {
  static std::string device = [] {
    const char* wanted = std::getenv("BINOCLE_TEST_DEVICE");
    return wanted == nullptr ? "cpu" : wanted;
  }();
  return device;
}

inline Engine LoadEngine(const std::string& path, EngineOptions options) {
  if (options.device == "cpu") options.device = TestDevice();
  return Engine::Load(path, options);
}

}  // namespace binocle::testing
