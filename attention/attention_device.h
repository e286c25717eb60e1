// Attention's ops on a GPU: from the contracts of attention.h, kv_pages.h and attention_map.h to commands of attention_cuda.h.
#pragma once

#include <span>

#include "attention/attention.h"
#include "attention/attention_map.h"
#include "core/ops/rope.h"

namespace binocle {

void AttentionOnDevice(Exec& ex, const AttentionArgs& args, const TensorView& out,
                       const TensorView& lse);

void WriteKvOnDevice(Exec& ex, const TensorView& k, const TensorView& v,
                     std::span<const int32_t> slots, const KvLayer& layer);

// Rows of k and v, [T, K·d]; keys are rotated on the way.
struct KeptRows {
  TensorView k;
  TensorView v;
  std::span<const int32_t> slots;      // [T]
  std::span<const int32_t> positions;  // [T]
  const RopeTable& rope;
};
void PlaceKvOnDevice(Exec& ex, const KeptRows& rows, const KvLayer& layer);

// AttentionWeights, one head: waits for the device.
void AttentionWeightsOnDevice(Exec& ex, const MapRow& row, int64_t head, std::span<float> weights);

}  // namespace binocle
