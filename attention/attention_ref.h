// The definition: explicit scores and weights in double. Linked by tests only.
#pragma once

#include <vector>

#include "attention/attention.h"

namespace binocle {

void AttentionRef(const AttentionArgs& args, const TensorView& out, const TensorView& lse);

// The weights [keys] that make one row's output, variant and segment rule applied.
std::vector<double> WeightsRef(const AttentionArgs& args, const QueryRun& run, int64_t row,
                               int64_t head, double* lse);

}  // namespace binocle
