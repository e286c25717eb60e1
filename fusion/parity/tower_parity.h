// A vision tower by itself beside a dump: every hidden state that the dump has.
#pragma once

#include <filesystem>

#include "core/exec.h"
#include "fusion/parity/comparison.h"
#include "fusion/parity/dump.h"

namespace binocle {

// Whether `directory` holds one: its config.json has the model_type of a tower.
bool IsTower(const std::filesystem::path& directory);

// Throws what loading a model throws. Hidden states are compared without the registers, which no model reads.
void CompareTower(Exec& ex, const std::filesystem::path& directory, const Dump& dump,
                  StageLog& log);

}  // namespace binocle
