// How fast a GPU is at LLaVA-1.5-7B's shape with random weights, printed, beside what was asked for (docs/cuda.md).
#pragma once

#include <cstdint>

#include "core/exec.h"

namespace binocle {

// The small one tells nothing but that it runs.
enum class SpeedShape : uint8_t { kLlava7b, kSmall };
void PrintSpeed(Exec& gpu, SpeedShape shape);

}  // namespace binocle
