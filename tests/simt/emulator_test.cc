// The emulator itself: every planted fault is found and called by its name, in several schedules, and the same kernel without it passes.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "simt/runtime.h"
#include "tests/simt/faults_cuda.h"

namespace simt {
namespace {

constexpr int kSchedules = 5;

class Planted : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Faults, Planted, ::testing::Range(size_t{0}, PlantedFaults().size()));

TEST_P(Planted, IsFoundInEverySchedule) {
  const PlantedFault planted = PlantedFaults()[GetParam()];
  if (!IsChecked() && !planted.in_plain_builds) return;  // accesses: the checked program has them
  for (int schedule = 0; schedule < kSchedules; ++schedule) {
    SetSchedule(static_cast<uint64_t>(schedule));
    planted.launch(true);
    const std::vector<Report> reports = TakeReports();
    EXPECT_TRUE(std::any_of(reports.begin(), reports.end(),
                            [&](const Report& r) { return r.fault == planted.fault; }))
        << planted.name << " in schedule " << schedule << ": "
        << (reports.empty() ? "nothing" : reports[0].message);
  }
}

TEST_P(Planted, IsNotFoundWhereItIsNot) {
  const PlantedFault planted = PlantedFaults()[GetParam()];
  for (int schedule = 0; schedule < kSchedules; ++schedule) {
    SetSchedule(static_cast<uint64_t>(schedule));
    planted.launch(false);
    const std::vector<Report> reports = TakeReports();
    EXPECT_TRUE(reports.empty()) << planted.name << ": " << reports[0].message;
  }
}

TEST(Planted, FaultsAreOfTenKinds) {
  std::set<Fault> kinds;
  for (const PlantedFault& planted : PlantedFaults()) kinds.insert(planted.fault);
  EXPECT_EQ(kinds.size(), 10U);
  EXPECT_GE(PlantedFaults().size(), 20U);
}

}  // namespace
}  // namespace simt
