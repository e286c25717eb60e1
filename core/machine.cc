#include "core/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace binocle {
namespace {

namespace fs = std::filesystem;

// The first number of a small file; nothing where there is none, as in "max".
std::optional<int64_t> NumberIn(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::string FirstLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// quota of every period, in microseconds: how many processors that is.
int Processors(int64_t quota, int64_t period) {
  return static_cast<int>(std::clamp<int64_t>((quota + period - 1) / period, 1, INT32_MAX));
}

// Limits of a group; of one that is not there, none.
void TakeGroup(const fs::path& group, MachineLimits& limits) {
  const auto memory = [&](const char* name) {
    const auto bytes = NumberIn(FirstLine(group / name));
    if (bytes && *bytes > 0) limits.memory = std::min(limits.memory, *bytes);
  };
  memory("memory.max");
  memory("memory.limit_in_bytes");  // version 1: a number near 2^63 where there is none
  const std::string max = FirstLine(group / "cpu.max");  // "QUOTA PERIOD" or "max PERIOD"
  auto quota = NumberIn(max);
  auto period = quota ? NumberIn(std::string_view(max).substr(max.find(' ') + 1)) : std::nullopt;
  if (!quota) {
    quota = NumberIn(FirstLine(group / "cpu.cfs_quota_us"));  // −1 where there is none
    period = NumberIn(FirstLine(group / "cpu.cfs_period_us"));
  }
  if (quota && period && *quota > 0 && *period > 0)
    limits.processors = std::min(limits.processors, Processors(*quota, *period));
}

// A group and those above it.
void TakeGroups(const fs::path& mount, const std::string& path, MachineLimits& limits) {
  fs::path group = fs::path(path).relative_path();
  for (;; group = group.parent_path()) {
    TakeGroup(mount / group, limits);
    if (group.empty()) return;
  }
}

int ProcessorsToRunOn() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

MachineLimits LimitsOfThisProcess(const fs::path& root) {
  MachineLimits limits{.memory = INT64_MAX, .processors = ProcessorsToRunOn()};
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0) limits.memory = pages * page_bytes;
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  // "0::/path" in version 2; "4:memory:/path" and "7:cpu,cpuacct:/path" in version 1.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (names.empty()) TakeGroups(mount, path, limits);
    std::stringstream list(names);
    for (std::string name; std::getline(list, name, ',');)
      if (name == "memory" || name == "cpu") TakeGroups(mount / name, path, limits);
  }
  return limits;
}

}  // namespace binocle
