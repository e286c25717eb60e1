// The softmax of attention/two_pass.cc.
#pragma once

#include <cstdint>

namespace binocle {

// s[0 … visible) ← exp(s − max), s[visible … width) ← 0. Returns the sum.
float ExpRowCpu(float* s, int64_t visible, int64_t width);

}  // namespace binocle
