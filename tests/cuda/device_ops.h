// Ops on a GPU, held against the same ops on the host: what goes over, in which layout, and which command is asked for. Without a test library, so
// that a GPU machine with nothing but a compiler runs them too.
#pragma once

#include <string>
#include <vector>

#include "core/exec.h"

namespace binocle::testing {

struct DeviceDifference {
  std::string what;
  double off;  // the largest difference, as a part of the largest number that is wanted
  double tolerance;

  bool within() const { return off <= tolerance; }
};

// All of them, on awkward shapes.
std::vector<DeviceDifference> CompareDeviceOps(Exec& host, Exec& gpu);

}  // namespace binocle::testing
