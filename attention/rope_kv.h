// Queries and keys rotated, keys and values in their pages: what a decoder's layer does between its products and attention, as one op.
//
//   q̂_t = scale·R(p_t) q_t      page[slot_t] = (R(p_t) k_t, v_t)          R(p): core/ops/rope.h
//
// On a GPU that is one launch of four. Attention takes q̂ as `rotated` has it:
//   on the host, and over f32 pages     q itself, rotated in place and not scaled; AttentionArgs.scale is `scale`
//   on a GPU, over bf16 pages           a buffer of its own [T, H·d] bf16, scaled and rounded; AttentionArgs.scale is 1
// k is of undefined value afterwards. Reference: rope_ref.cc and WriteKv.
#pragma once

#include <cstdint>
#include <span>

#include "attention/kv_pages.h"
#include "core/ops/rope.h"

namespace binocle {

struct RopeKvRows {
  TensorView q;                        // [T, H·d] f32
  TensorView k;                        // [T, K·d] f32
  TensorView v;                        // [T, K·d] f32
  std::span<const int32_t> positions;  // [T]
  std::span<const int32_t> slots;      // [T]
  float scale;                         // of q·k
};

void RopeAndWriteKv(Exec& ex, const RopeTable& rope, const RopeKvRows& rows, const KvLayer& layer,
                    const TensorView& rotated);

}  // namespace binocle
