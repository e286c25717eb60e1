// binocle/make_random.h, for the folder above.
#pragma once

#include "binocle/make_random.h"
#include "core/exec.h"

namespace binocle {

std::vector<RandomPreset> ListRandomPresets();
RandomModelReport MakeRandom(Exec& ex, const std::string& preset, const std::string& out,
                             const RandomModelOptions& options);

}  // namespace binocle
