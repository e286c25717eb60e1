#include "attention/attention_map.h"

#include <algorithm>
#include <vector>

#include "attention/attention_map_cpu.h"

namespace binocle {
namespace {

SegmentGains GainsOf(const SegmentPolicy& policy, std::span<const float> weights) {
  SegmentMasses m;
  for (size_t j = 0; j < weights.size(); ++j) {
    const uint8_t c = policy.classes[j];
    if (c == kVisualKey) m.content += weights[j];
    if (c == (kVisualKey | kSinkKey)) m.visual_sink += weights[j];
    if (c == kSinkKey) m.text_sink += weights[j];
  }
  return policy.rule(policy.params, m);
}

void ApplyGains(const SegmentPolicy& policy, std::span<float> weights) {
  const SegmentGains gains = GainsOf(policy, weights);
  if (gains == SegmentGains{}) return;
  for (size_t j = 0; j < weights.size(); ++j) {
    if (policy.classes[j] & kSinkKey) {
      weights[j] *= gains.sink;
    } else if (policy.classes[j] == kVisualKey) {
      weights[j] *= gains.content;
    }
  }
}

}  // namespace

void AttentionWeights(const MapRow& row, int64_t head, std::span<float> weights) {
  BINOCLE_CHECK(static_cast<int64_t>(weights.size()) == row.run.keys, weights.size(),
                " weights for ", row.run.keys, " keys");
  std::fill(weights.begin(), weights.end(), 0.0F);
  AttentionWeightsCpu(row, head, weights.data());
}

void AddAttentionMap(const MapRow& row, std::span<const float> head_weight, std::span<float> map) {
  std::vector<float> weights(map.size());
  for (size_t h = 0; h < head_weight.size(); ++h) {
    if (head_weight[h] == 0) continue;
    AttentionWeights(row, static_cast<int64_t>(h), weights);
    const SegmentPolicy* policy = row.run.segments;
    if (policy != nullptr && policy->rule != nullptr) ApplyGains(*policy, weights);
    for (size_t j = 0; j < map.size(); ++j) map[j] += head_weight[h] * weights[j];
  }
}

}  // namespace binocle
