// Attention's ops on a GPU: from the contracts of attention.h, kv_pages.h and attention_map.h to commands of attention_cuda.h.
#pragma once

#include <span>

#include "attention/attention.h"
#include "attention/attention_map.h"
#include "attention/rope_kv.h"
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

void RopeAndWriteKvOnDevice(Exec& ex, const RopeKvRows& rows, const RopeTable& rope,
                            const KvLayer& layer, const TensorView& rotated);

// Σ of AttentionWeights over `rows` rows from row.row on, which see the same keys, in every head: weights [H, keys], of the host. Waits for the device.
void AttentionWeightsOnDevice(const MapRow& row, int64_t rows, const TensorView& weights);

}  // namespace binocle
