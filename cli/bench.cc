// binocle bench: how fast the parts are on this machine.
#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace binocle::cli {

void AddBench(CLI::App& app) { (void)app; }

}  // namespace binocle::cli
