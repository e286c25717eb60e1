#include "attention/attention_map.h"

#include <algorithm>

#include "attention/attention_device.h"
#include "attention/attention_map_cpu.h"
#include "core/ops/elementwise.h"

namespace binocle {
namespace {

// The masses that the pass wrote, where it did, so that the rule decides as it did then: recomputed ones differ in their last bits.
SegmentMasses MassesOf(const MapRow& row, int64_t head, std::span<const float> weights) {
  const SegmentPolicy& policy = *row.run.segments;
  if (!policy.masses.empty()) {
    const int64_t at = row.run.first_row + row.row;
    Tensor copy;
    const float* m = OnHost(row.ex, policy.masses.Rows(at, at + 1), copy).f32() + 3 * head;
    return {.content = m[0], .visual_sink = m[1], .text_sink = m[2]};
  }
  SegmentMasses m;
  for (size_t j = 0; j < weights.size(); ++j) {
    const uint8_t c = policy.classes[j];
    if (c == kVisualKey) m.content += weights[j];
    if (c == (kVisualKey | kSinkKey)) m.visual_sink += weights[j];
    if (c == kSinkKey) m.text_sink += weights[j];
  }
  return m;
}

void ApplyGains(const MapRow& row, int64_t head, std::span<float> weights) {
  const SegmentPolicy& policy = *row.run.segments;
  const SegmentGains gains = policy.rule(policy.params, MassesOf(row, head, weights));
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
  if (row.args.kv.device == Device::kCuda)
    return AttentionWeightsOnDevice(row.ex, row, head, weights);
  std::fill(weights.begin(), weights.end(), 0.0F);
  AttentionWeightsCpu(row, head, weights.data());
}

void AddAttentionMap(const MapRow& row, std::span<const float> head_weight,
                     std::span<float> scratch, std::span<float> map) {
  for (size_t h = 0; h < head_weight.size(); ++h) {
    if (head_weight[h] == 0) continue;
    AttentionWeights(row, static_cast<int64_t>(h), scratch);
    const SegmentPolicy* policy = row.run.segments;
    if (policy != nullptr && policy->rule != nullptr)
      ApplyGains(row, static_cast<int64_t>(h), scratch);
    for (size_t j = 0; j < map.size(); ++j) map[j] += head_weight[h] * scratch[j];
  }
}

}  // namespace binocle
