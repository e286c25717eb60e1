// One score at a time, as the kernels without tensor cores compute it.
#pragma once

#include "attention/attention_cuda.h"
#include "core/backend/cuda/device.h"
#include "core/error.h"

namespace binocle::cuda {

inline constexpr float kSeesNothing = -INFINITY;

// Throws INTERNAL for heads that a kernel with room for `most_dim` dimensions cannot have.
inline void CheckShape(const AttentionShape& shape, int32_t most_dim) {
  const bool fits = shape.head_dim >= 1 && shape.head_dim <= most_dim &&
                    shape.kv_row == DeviceKvRow(shape.head_dim);
  if (fits && shape.group * shape.kv_heads == shape.heads) return;
  Throw(Code::kInternal, "attention on the device: ", shape.heads, " heads in groups of ",
        shape.group, " for ", shape.kv_heads, " kv heads of ", shape.head_dim, " in rows of ",
        shape.kv_row, ", expected at most ", most_dim, " in rows of DeviceKvRow");
}

// variant(scale·q·k) of a key and a query head.
BINOCLE_DEVICE float VaryScore(const TilePolicy& policy, float s, int key, int head) {
  if (policy.kind == ScoreKind::kKeyGain) {
    const float factor = policy.head_factor == nullptr ? 1.0F : policy.head_factor[head];
    return s + policy.by_key[key] * factor * fabsf(s);
  }
  if (policy.kind == ScoreKind::kKeyBias) return s + policy.by_key[key];
  if (policy.kind == ScoreKind::kSoftCap) return policy.cap * tanhf(s / policy.cap);
  return s;
}

// The key, or the value, of a column of a page.
template <typename Element>
BINOCLE_DEVICE const Element* InPage(const Element* pages, const AttentionShape& shape, int page,
                                     int kv_head, int column) {
  return pages + ((page * int64_t{shape.kv_heads} + kv_head) * 64 + column) * shape.kv_row;
}

}  // namespace binocle::cuda
