// What the commands below `binocle bench` share.
#pragma once

#include <CLI/CLI.hpp>

#include "binocle/bench.h"
#include "binocle/bench_machine.h"
#include "cli/json_output.h"

namespace binocle::cli {

void AddBenchMachine(CLI::App& bench);
void AddBenchModel(CLI::App& bench);
void AddBenchOps(CLI::App& bench);

Json SpreadJson(const Spread& spread);
Json MachineJson(const MachineBench& machine);

}  // namespace binocle::cli
