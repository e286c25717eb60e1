// How fast a GPU is at LLaVA-1.5-7B's shape with random weights, printed, beside what was asked for (docs/cuda.md).
#pragma once

#include "core/exec.h"

namespace binocle {

enum class SpeedShape : uint8_t {
  kLlava7b,
  kSmall
};  // the small one tells nothing but that it runs
void PrintSpeed(Exec& gpu, SpeedShape shape);

}  // namespace binocle
