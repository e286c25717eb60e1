// Softmax attention, tiled and online, with its log-sum-exp.
//
//   O_i = Σ_j softmax_j(s_ij) v_j        s_ij = variant(scale · q_i·k_j) over the keys that row i may see
//   LSE_i = log Σ_j exp(s_ij)
//
// One call serves a batch of runs. A run is a group of consecutive rows of one sequence: prefill, one decoded token, or all patches
// of an image. Scores never exist as a matrix: a block of rows walks over the pages of 64 keys with a running shift and sum.
//
// Every row is computed from its own query and its own pages in page order, so a row's result does not depend, bit for bit, on which
// rows share the call, on how a prompt is cut into chunks, or on the number of threads, as long as keys and values are finite: a weight of 0
// does not take a later row's NaN away. A run without variant and segments costs and
// gives exactly what plain attention does.
// Reference: attention_ref.cc (the explicit matrix in double). Derivations: attention/README.md.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "attention/kv_pages.h"
#include "attention/score_variant.h"
#include "attention/segments.h"
#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

enum class Mask : uint8_t {
  kCausal,  // row at position p sees positions 0 … p
  kNone,    // every row sees all `keys` positions
};

struct QueryRun {
  int64_t first_row = 0;             // in q and out
  int64_t rows = 0;                  //
  int64_t first_position = 0;        // of first_row; the others follow
  int64_t keys = 0;                  // positions present; kCausal: at least first_position + rows
  std::span<const int32_t> pages{};  // of this sequence
  int64_t first_key =
      0;  // keys before it count for nothing, and are finite as all are: one segment of the keys
  // Where the last picture before the run ends, or 0: whole pages before it may be other sequences' too. A GPU begins a part of the keys there, so that
  // those pages are in parts that all of them have.
  int64_t shared_end = 0;
  ScoreVariant variant{};
  const SegmentPolicy* segments = nullptr;  // nullptr: weights stay as the softmax made them
};
// Neither a variant of scores nor segments.
inline bool IsPlain(const QueryRun& run) {
  return std::holds_alternative<PlainScore>(run.variant) && run.segments == nullptr;
}

struct AttentionArgs {
  TensorView q;  // [T, H·d] f32 or bf16, rows may be strided; H a multiple of kv.kv_heads
  KvLayer kv;
  std::span<const QueryRun> runs;  // disjoint rows
  Mask mask = Mask::kCausal;
  float scale = 1.0F;
  // kCausal, where it is above 0: row at position p sees positions p − window + 1 … p, itself among them (Mistral's sliding window).
  int64_t window = 0;
};

// out [T, H·d] f32, rows may be strided, may alias q.   lse [T, H] f32.
// A row that sees no key gets O = 0 and LSE = −∞.
void Attention(Exec& ex, const AttentionArgs& args, const TensorView& out, const TensorView& lse);

// What a call takes of each thread's scratch.
int64_t AttentionThreadBytes(int64_t head_dim, DType kv_dtype);

// (O, LSE) over the union of two disjoint sets of keys, from (O, LSE) over each:
//   LSE = log(e^LSE₁ + e^LSE₂)        O = e^(LSE₁−LSE)·O₁ + e^(LSE₂−LSE)·O₂
// out and lse hold the first on entry and the union on return. Rows where both are −∞ become O = 0, LSE = −∞.
void MergeAttention(Exec& ex, const TensorView& other, const TensorView& other_lse,
                    const TensorView& out, const TensorView& lse);

}  // namespace binocle
