// The attention of one layer, every way there is to compute it.
#pragma once

#include <cstdint>
#include <vector>

#include "binocle/bench.h"
#include "core/exec.h"

namespace binocle {

struct LayerShape {
  int64_t heads;     // H
  int64_t kv_heads;  // K
  int64_t head_dim;  // d
};

struct KernelBench {
  LayerShape shape;
  int64_t visual_tokens;
  int64_t text_tokens;  // the first of them before the picture, the others after it
  int64_t rounds;
};

// Prefill and decode. Appends the f32 rate of every round to `rates`.
std::vector<AttentionTiming> BenchKernels(Exec& ex, const KernelBench& bench,
                                          std::vector<double>& rates);

}  // namespace binocle
