// The tests of the kernels find what is wrong with them: every change of planted/plants.py is caught, by a report of its kind or by numbers, and the kernels
// as they are pass the same problems.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/simt/planted/problems.h"

namespace binocle {
namespace {

struct Plant {
  std::string name, source, library, found_by;
};

std::ostream& operator<<(std::ostream& out, const Plant& plant) { return out << plant.name; }

std::vector<Plant> Plants() {
  std::ifstream list(PLANTED_LIST);
  std::vector<Plant> plants;
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    Plant plant;
    std::getline(words, plant.name, '\t');
    std::getline(words, plant.source, '\t');
    std::getline(words, plant.library, '\t');
    std::getline(words, plant.found_by);
    plants.push_back(plant);
  }
  return plants;
}

PlantedKernels KernelsOf(const Plant& plant) {
  const std::string path = std::string(PLANTED_FOLDER) + "/libplanted_" + plant.name + ".so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  return reinterpret_cast<PlantedKernels (*)()>(dlsym(library, kPlantedSymbol))();
}

class PlantedInKernels : public ::testing::TestWithParam<Plant> {};
INSTANTIATE_TEST_SUITE_P(Each, PlantedInKernels, ::testing::ValuesIn(Plants()),
                         [](const auto& plant) { return plant.param.name; });

TEST_P(PlantedInKernels, IsCaught) {
  const Plant& plant = GetParam();
  const PlantedKernels kernels = WithRealOnes(KernelsOf(plant));
  // One schedule: that faults are found in each is what emulator_test shows.
  const Outcome outcome = RunProblem(plant.library, kernels, 2);
  const std::string first = outcome.reports.empty() ? "no report" : outcome.reports[0];
  if (plant.found_by == "numbers") {
    EXPECT_FALSE(outcome.right) << first;
  } else {
    EXPECT_TRUE(std::any_of(outcome.reports.begin(), outcome.reports.end(),
                            [&](const auto& r) { return r.starts_with(plant.found_by); }))
        << plant.found_by << ", got " << first;
  }
}

TEST(PlantedInKernels, TheKernelsAsTheyArePassTheSameProblems) {
  for (const std::string& library : ProblemLibraries()) {
    for (const uint64_t schedule : {1, 2}) {
      const Outcome outcome = RunProblem(library, WithRealOnes({}), schedule);
      EXPECT_TRUE(outcome.right) << library;
      EXPECT_TRUE(outcome.reports.empty()) << library << ": " << outcome.reports[0];
    }
  }
}

}  // namespace
}  // namespace binocle
