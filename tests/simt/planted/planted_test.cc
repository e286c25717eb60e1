// The tests of the attention kernels find what is wrong with them: every change of planted/plants.py is caught, by a report of its kind or by numbers,
// and the kernels as they are pass the same problems.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "attention/attention_ref.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"
#include "tests/simt/planted/kernels.h"

namespace binocle {
namespace {

struct Plant {
  std::string name, source, found_by;
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

// What the emulator reported, in its words, and whether the results were right.
struct Outcome {
  std::vector<std::string> reports;
  bool right = true;
};

template <typename Element, typename Attend>
void Solve(const PlantedKernels& kernels, DType dtype, Mask mask, int64_t window, double tolerance,
           const Attend& attend, Outcome& outcome) {
  Problem p({.heads = 6, .kv_heads = 2, .d = 64, .kv_dtype = dtype},
            {{9, 200}, {1, 7}, {1, 256}, {17, 100}, {2, 330}, {12, 300}}, 21);
  testing::RoundQueries(p);
  AttentionArgs args = p.args(mask);
  args.window = window;
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(args, want, want_lse);
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 6, .kv_heads = 2, .mask = mask, .window = window}, plan);
  testing::DeviceProblem<Element> device(p, args);
  if (kernels.merge != nullptr) device.merge = kernels.merge;
  device.Solve(plan, {cuda::TilePolicy{}}, attend);
  for (const simt::Report& report : simt::TakeReports()) outcome.reports.push_back(report.message);
  outcome.right = outcome.right && testing::Within(device.out.span(), want, tolerance, "out") &&
                  testing::Within(device.lse.span(), want_lse, 1e-4, "lse");
}

Outcome RunPlanted(const PlantedKernels& kernels, uint64_t schedule) {
  Outcome outcome;
  simt::SetSchedule(schedule);
  const auto tiles = [&](const cuda::AttentionWork<Bf16>& work) {
    kernels.tiles != nullptr ? kernels.tiles(work) : cuda::AttendTiles(work, nullptr);
  };
  const auto rows = [&](const cuda::AttentionWork<float>& work) {
    kernels.rows != nullptr ? kernels.rows(work) : cuda::AttendRows(work, nullptr);
  };
  if (kernels.rows == nullptr) {
    Solve<Bf16>(kernels, DType::kBF16, Mask::kCausal, 0, 1.5e-2, tiles, outcome);
    Solve<Bf16>(kernels, DType::kBF16, Mask::kCausal, 70, 1.5e-2, tiles, outcome);
  } else {
    Solve<float>(kernels, DType::kF32, Mask::kCausal, 0, 2e-5, rows, outcome);
  }
  return outcome;
}

class PlantedInKernels : public ::testing::TestWithParam<Plant> {};
INSTANTIATE_TEST_SUITE_P(Each, PlantedInKernels, ::testing::ValuesIn(Plants()),
                         [](const auto& plant) { return plant.param.name; });

TEST_P(PlantedInKernels, IsCaught) {
  const Plant& plant = GetParam();
  const PlantedKernels kernels = KernelsOf(plant);
  for (const uint64_t schedule : {1, 2}) {
    const Outcome outcome = RunPlanted(kernels, schedule);
    const std::string first = outcome.reports.empty() ? "no report" : outcome.reports[0];
    if (plant.found_by == "nothing") {
      EXPECT_TRUE(outcome.reports.empty() && outcome.right) << first;
    } else if (plant.found_by == "numbers") {
      EXPECT_FALSE(outcome.right) << first;
    } else {
      EXPECT_TRUE(std::any_of(outcome.reports.begin(), outcome.reports.end(),
                              [&](const auto& r) { return r.starts_with(plant.found_by); }))
          << plant.found_by << ", got " << first;
    }
  }
}

}  // namespace
}  // namespace binocle
