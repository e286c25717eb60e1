// Where tests run models: on the CPU, or on what a program's main says, as tests/simt does.
#pragma once

#include <string>
#include <utility>

#include "binocle/engine.h"

namespace binocle::testing {

// "cpu" unless somebody has set another one before the tests begin.
inline std::string& TestDevice() {
  static std::string device = "cpu";
  return device;
}

inline Engine LoadEngine(const std::string& path, EngineOptions options) {
  if (options.device == "cpu") options.device = TestDevice();
  return Engine::Load(path, options);
}

}  // namespace binocle::testing
