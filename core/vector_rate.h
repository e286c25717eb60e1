// The rate of f32 arithmetic that this machine reaches now: what kernels are measured against (binocle bench).
#pragma once

#include "core/exec.h"

namespace binocle {

// Floating-point operations per second of multiply-adds that never leave the registers, all threads of `ex` at once. Takes a few
// milliseconds.
double MeasureF32Rate(Exec& ex);

// The instruction set that our kernels run with: "AVX3_ZEN4", "AVX2", …
const char* SimdName();

}  // namespace binocle
