// What the commands below `binocle bench` share.
#pragma once

#include <CLI/CLI.hpp>

#include "binocle/bench.h"
#include "cli/json_output.h"

namespace binocle::cli {

void AddBenchModel(CLI::App& bench);

Json SpreadJson(const Spread& spread);

}  // namespace binocle::cli
