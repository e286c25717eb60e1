// Attention on a GPU: the work as tiles, and what launches it. Host code; no header of CUDA's.
//
//   O_i = Σ_j softmax_j(s_ij) v_j        LSE_i = log Σ_j exp(s_ij)        s_ij = variant(scale · q_i·k_j), first_key_i ≤ j < end_key_i
//
// A kernel knows no runs, no masks and no sequences. The plan (attention/attention_plan.h) says which keys each row sees, as an interval; rows that
// walk over the same pages are a tile. So one kernel is prefill and decode, causal or not, cross-attention, a window, a part of the keys (split-K), and
// a picture's keys read once for the rows of several sequences. Parts over disjoint keys are merged by their LSE.
//
//   q [T, H·d] bf16 or f32      pages: keys and values [pages, K, 64, DeviceKvRow(d)], zero from d on: both products read rows (unlike kv_pages.h,
//   whose panels are for vectors)      out [R, H·d], lse [R, H] f32      T rows of queries, R rows of results: T, or the parts that are merged afterwards
// Arrays by key (gain, bias, classes) are as long as whole pages.
// A row's result depends on its own query, its own pages and where its parts begin, not on what shares its tile or the launch: bit for bit.
// Reference: attention_ref.cc.
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"
#include "core/backend/cuda/stream.h"
#include "core/convert.h"

namespace binocle::cuda {

// A row of queries, in all its heads.
struct TileRow {
  int32_t q_row;
  int32_t out_row;
  int32_t first_key;  // of the keys that it sees in this tile
  int32_t end_key;
};

// Rows that share pages. (rows × query heads of a kv head) are at most kTileRows. No rows: nothing, to fill a list up.
struct AttentionTile {
  int32_t first_row;   // in the list of TileRow
  int32_t rows;        //
  int32_t first_page;  // in the list of pages: the one with key first_key
  int32_t pages;       //
  int32_t first_key;   // a multiple of 64
  int32_t end_key;     // no row sees a key from here on
  int32_t whole_from;  // every row sees all keys from here …
  int32_t whole_to;    // … to here: no masks. Multiples of 64
  int32_t policy;      // in the list of TilePolicy
};
inline constexpr int kTileRows = 64;

enum class ScoreKind : int32_t { kPlain, kKeyGain, kKeyBias, kSoftCap };

// score_variant.h and the classes of segments.h, on the device.
struct TilePolicy {
  ScoreKind kind;
  float cap;                 // kSoftCap
  const float* by_key;       // kKeyGain: g; kKeyBias: b
  const float* head_factor;  // kKeyGain: c [H], or null
  const uint8_t* classes;    // bits of segments.h, or null: nobody asks for the content
};

// Elements of a key, and of a value, in a page: the width of the kernel that the head gets, so that rows are at fixed distances.
constexpr int DeviceKvRow(int head_dim) {
  for (const int width : {32, 64, 80, 96, 128})
    if (head_dim <= width) return width;
  return (head_dim + 7) / 8 * 8;
}

template <typename Element>
struct DevicePages {
  const Element* keys;    // [pages, K, 64, DeviceKvRow]
  const Element* values;  // [pages, K, 64, DeviceKvRow]
};

struct AttentionShape {
  int32_t heads;
  int32_t kv_heads;
  int32_t group;  // heads / kv_heads
  int32_t head_dim;
  int32_t kv_row;  // DeviceKvRow(head_dim)
  float scale;
};

// Results, each [R, H·d] and [R, H]. content: over the visual keys that are no sinks (segments.h), where the tile's
// policy has classes; else not written.
struct AttentionOut {
  float* out;
  float* lse;
  float* content_out;
  float* content_lse;
};

template <typename Element>
struct AttentionWork {
  AttentionShape shape;
  const Element* q;
  int64_t q_stride;  // elements from row to row
  DevicePages<Element> kv;
  const AttentionTile* tiles;
  const TileRow* rows;
  const int32_t* pages;
  const TilePolicy* policies;
  int32_t tile_count;
  bool varied;  // some policy is not plain, or has classes; else policies are not read
  AttentionOut result;
};

// A row's parts, which lie together. No parts: nothing, to fill a list up.
struct RowParts {
  int32_t out_row;
  int32_t first_part;
  int32_t parts;
};

inline constexpr CudaCommand<AttentionWork<Bf16>> kAttendTiles{"attend tiles"};
inline constexpr CudaCommand<AttentionWork<float>> kAttendRowsF32{"attend rows f32"};
inline constexpr CudaCommand<AttentionWork<Bf16>> kAttendRowsBf16{"attend rows bf16"};

// On tensor cores: bf16, f32 sums. d a multiple of 8 up to 128, H / K up to 64.
void AttendTiles(const AttentionWork<Bf16>& work, Stream stream);
// Without tensor cores: any d up to 256.
void AttendRows(const AttentionWork<float>& work, Stream stream);
void AttendRows(const AttentionWork<Bf16>& work, Stream stream);

// The heads that AttendTiles has kernels for.
constexpr bool HasTiles(int64_t head_dim, int64_t group) {
  return head_dim % 8 == 0 && head_dim <= 128 && group <= kTileRows;
}

}  // namespace binocle::cuda
