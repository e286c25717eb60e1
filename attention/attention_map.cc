#include "attention/attention_map.h"

#include <algorithm>
#include <vector>

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
  if (row.args.kv.device == Device::kCuda) {
    const int64_t heads = row.lse.dim(1);
    const Tensor all = Tensor::F32({heads, row.run.keys}, "weights");
    AttentionWeightsOnDevice(row, 1, all);
    std::copy_n(all.row(head), weights.size(), weights.begin());
    return;
  }
  std::fill(weights.begin(), weights.end(), 0.0F);
  AttentionWeightsCpu(row, head, weights.data());
}

void AttentionWeightsOfHeads(const MapRow& row, const TensorView& weights) {
  BINOCLE_CHECK(weights.shape() == Shape({row.lse.dim(1), row.run.keys}), weights.name());
  if (row.args.kv.device == Device::kCuda) return AttentionWeightsOnDevice(row, 1, weights);
  for (int64_t h = 0; h < weights.dim(0); ++h)
    AttentionWeights(row, h, {weights.row(h), static_cast<size_t>(row.run.keys)});
}

void ReceivedWeights(const MapRow& first_row, const TensorView& received) {
  const QueryRun& run = first_row.run;
  BINOCLE_CHECK(received.shape() == Shape({first_row.lse.dim(1), run.keys}) &&
                    first_row.args.mask == Mask::kNone && first_row.row == 0,
                received.name());
  if (first_row.args.kv.device == Device::kCuda)
    return AttentionWeightsOnDevice(first_row, run.rows, received);
  first_row.ex.Parallel(received.dim(0), [&](int64_t h) {
    std::vector<float> weights(static_cast<size_t>(run.keys));
    std::fill_n(received.row(h), run.keys, 0.0F);
    MapRow row = first_row;
    for (row.row = 0; row.row < run.rows; ++row.row) {
      AttentionWeights(row, h, weights);
      for (int64_t j = 0; j < run.keys; ++j) received.row(h)[j] += weights[static_cast<size_t>(j)];
    }
  });
}

void AddAttentionMap(const MapRow& row, std::span<const float> head_weight,
                     std::span<float> scratch, std::span<float> map) {
  const bool on_device = row.args.kv.device == Device::kCuda;
  const Tensor all = on_device ? Tensor::F32({row.lse.dim(1), row.run.keys}, "weights") : Tensor();
  if (on_device) AttentionWeightsOfHeads(row, all);
  for (size_t h = 0; h < head_weight.size(); ++h) {
    if (head_weight[h] == 0) continue;
    const auto head = static_cast<int64_t>(h);
    if (on_device) {
      std::copy_n(all.row(head), scratch.size(), scratch.begin());
    } else {
      AttentionWeights(row, head, scratch);
    }
    const SegmentPolicy* policy = row.run.segments;
    if (policy != nullptr && policy->rule != nullptr) ApplyGains(row, head, scratch);
    for (size_t j = 0; j < map.size(); ++j) map[j] += head_weight[h] * scratch[j];
  }
}

}  // namespace binocle
