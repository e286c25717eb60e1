// The definition: explicit scores and weights in double. Linked by tests only.
#pragma once

#include "attention/attention.h"

namespace binocle {
void AttentionRef(const AttentionArgs& args, const TensorView& out, const TensorView& lse);
}  // namespace binocle
