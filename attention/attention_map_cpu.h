// The weights of one row; called by attention_map.cc after its checks.
#pragma once

#include "attention/attention_map.h"

namespace binocle {

// weights [keys], zeroed, receives the row's weights where it sees keys.
void AttentionWeightsCpu(const MapRow& row, int64_t head, float* weights);

}  // namespace binocle
