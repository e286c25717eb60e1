// Sets of patches that hallucination modulation treats apart (docs/interventions.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vision/encoder.h"

namespace binocle {

// How a tower looked at its patches, [P] each.
struct PatchAttention {
  std::vector<float> first_class;  // class token, first layer, summed over heads
  std::vector<float> late_class;   // class token, second to last layer, summed over heads
  std::vector<float> received;     // first layer, received from all tokens, mean over heads

  int64_t patches() const { return static_cast<int64_t>(first_class.size()); }
};

// The tap that PatchAttention is read from, for a tower of which `run` layers of `layers` run.
AttentionTap PatchAttentionTap(int64_t layers, int64_t run);
PatchAttention ReadPatchAttention(const AttentionTap& tap);

struct TokenSets {
  std::vector<int64_t> boosted;  // (local ∪ spatial) \ summary, ascending
  std::vector<int64_t> summary;  // ascending
};

// local, spatial: shares of the patches, 0 to 1.
TokenSets SelectTokens(const PatchAttention& attention, double local, double spatial);

// The `count` patches of largest value, ascending; of equal ones the lower index first.
std::vector<int64_t> LargestPatches(std::span<const float> values, int64_t count);
// How many values lie above Q3 + 1.5·IQR, quartiles by linear interpolation.
int64_t OutlierCount(std::span<const float> values);

}  // namespace binocle
