// What this process may use of the machine: in a container, or under systemd's limits, less than all of it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace binocle {

struct MachineLimits {
  int64_t memory = INT64_MAX;  // bytes
  int processors =
      1;  // threads that make sense: those it may run on, and its share of their time rounded up
};

// Of the machine, of the processors that the process is bound to, and of its control groups (Linux, versions 1 and 2). Read anew at each
// call. `root`: where proc and sys are mounted, for tests.
MachineLimits LimitsOfThisProcess(const std::filesystem::path& root = "/");

}  // namespace binocle
