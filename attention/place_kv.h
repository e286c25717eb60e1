// Tokens whose keys and values were computed apart go into a sequence's pages.
//
// What is kept lies as pages do, so that placing reads and writes every number once, in order:
//   keys [K·d, n]            before the rotary embedding, token after token
//   values [K, n·stride]     each head's tokens one after the other, stride = ValueStride(d)
// and on a GPU as rows, [n, K·d] both.
// Keys are rotated on the way: (lo, hi) ← (lo·cos − hi·sin, hi·cos + lo·sin), as core/ops/rope.h does.
#pragma once

#include "attention/kv_pages.h"
#include "core/ops/rope.h"

namespace binocle {

// One layer's worth of such tokens.
struct KeptKv {
  TensorView keys;    // [K·d, n]
  TensorView values;  // [K, n·ValueStride(d)]

  static int64_t Floats(int64_t kv_heads, int64_t head_dim, int64_t tokens);
  // In so many floats, aligned to 64 bytes.
  static KeptKv In(float* memory, int64_t kv_heads, int64_t head_dim, int64_t tokens,
                   Device device = Device::kCpu);
  int64_t tokens() const { return keys.on_cuda() ? keys.dim(0) : keys.dim(1); }
  // Rows of k and v [rows, K·d] become tokens [first, first + rows).
  void Store(Exec& ex, const TensorView& k, const TensorView& v, int64_t first);
};

// Puts every layer's tokens at positions [first_position, +n) of a sequence. `rope` is RopeTable::ByFrequency; on a GPU the table itself.
void PlaceKv(Exec& ex, std::span<const KeptKv> layers, const RopeTable& rope,
             int64_t first_position, const KvPool& pool, const KvSequence& sequence);

}  // namespace binocle
