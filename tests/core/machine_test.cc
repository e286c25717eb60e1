#include "core/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace binocle {
namespace {

namespace fs = std::filesystem;

// proc and sys of a machine that is not there.
class Machine : public ::testing::Test {
 protected:
  Machine() : root_(fs::temp_directory_path() / ("binocle_machine_" + std::to_string(getpid()))) {
    fs::create_directories(root_);
  }
  ~Machine() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << '\n';
  }
  MachineLimits Limits() const { return LimitsOfThisProcess(root_); }

  const fs::path root_;
  const MachineLimits machine_ = LimitsOfThisProcess(root_);  // without groups
};

TEST_F(Machine, WithoutGroupsItIsTheMachine) {
  EXPECT_GT(machine_.memory, int64_t{64} << 20);
  EXPECT_LT(machine_.memory, INT64_MAX);
  EXPECT_GE(machine_.processors, 1);
}

TEST_F(Machine, TheLeastOfAGroupAndThoseAboveItCounts) {
  Write("proc/self/cgroup", "0::/system.slice/binocle.service");
  Write("sys/fs/cgroup/system.slice/memory.max", "50000000");
  Write("sys/fs/cgroup/system.slice/binocle.service/memory.max", "60000000");
  Write("sys/fs/cgroup/system.slice/binocle.service/cpu.max", "50000 100000");
  EXPECT_EQ(Limits().memory, 50000000);
  EXPECT_EQ(Limits().processors, 1) << "half a processor";
}

TEST_F(Machine, AContainersOwnGroupIsTheRoot) {
  Write("proc/self/cgroup", "0::/");
  Write("sys/fs/cgroup/memory.max", "70000000");
  EXPECT_EQ(Limits().memory, 70000000);
}

TEST_F(Machine, NoLimitIsNone) {
  Write("proc/self/cgroup", "0::/a\nnonsense\n:");
  Write("sys/fs/cgroup/a/memory.max", "max");
  Write("sys/fs/cgroup/a/cpu.max", "max 100000");
  EXPECT_EQ(Limits().memory, machine_.memory);
  EXPECT_EQ(Limits().processors, machine_.processors);
  Write("sys/fs/cgroup/a/cpu.max", "800000000 100000");
  EXPECT_EQ(Limits().processors, machine_.processors) << "more than there are";
}

TEST_F(Machine, TheFirstVersionOfGroupsToo) {
  Write("proc/self/cgroup",
        "7:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n1:name=systemd:/docker/1");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "80000000");  // as a container sees its own
  Write("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1");
  Write("sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Limits().memory, 80000000);
  EXPECT_EQ(Limits().processors, machine_.processors);
  Write("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "100000");
  EXPECT_EQ(Limits().processors, 1);
}

}  // namespace
}  // namespace binocle
