// The engine that a command runs on.
#pragma once

#include <string>

#include "binocle/engine.h"

namespace binocle::cli {

// Loads it, and says on stderr where it runs if that is not where it was asked to. Throws Followed where this process is a rank that has no requests, when rank 0 has ended.
Engine LoadEngine(const std::string& path, const EngineOptions& options);

}  // namespace binocle::cli
