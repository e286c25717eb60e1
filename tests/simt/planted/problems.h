// A problem for each library of planted faults: what its kernels make of it, and whether that is right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simt/planted/kernels.h"

namespace binocle {

// What the emulator reported, in its words, and whether the results were right.
struct Outcome {
  std::vector<std::string> reports;
  bool right = true;
};

// The kernels as they are, but for those that `planted` has.
PlantedKernels WithRealOnes(const PlantedKernels& planted);

// `library` as plants.py names it: tiles, varied, rows, parts, sinks, kv, sampling, compact, ops. Throws std::out_of_range for another.
Outcome RunProblem(const std::string& library, const PlantedKernels& kernels, uint64_t schedule);
// One for each problem: some share it, as tiles and parts.
const std::vector<std::string>& ProblemLibraries();

}  // namespace binocle
