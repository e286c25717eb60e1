// From runs to tiles (attention_cuda.h): which rows of queries walk over which pages together on a GPU, and which parts are merged. Host code, pure.
//
//   runs of many rows     blocks of rows, longest first, straight into the results
//   runs of a few rows    (decode) their keys in parts of PartKeys, each a tile of its own, so that one row occupies many multiprocessors; parts
//                         over the same pages are one tile for as many rows of runs that see them whole as a tile has (kTileRows over the query
//                         heads of a kv head), under policies that are equal there, so that a picture that many sequences share is read once for
//                         all of them, VAR or not. Merged by MergeParts
// Where parts begin depends on the run alone: at multiples of PartKeys, counted from its first page and, once more, from the page in which its
// shared_end is. So no result depends on what else is in the call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "attention/attention.h"
#include "attention/attention_cuda.h"

namespace binocle {

// Longer lists of tiles and merges are filled up with ones that do nothing.
// Plain tiles come first and are a launch of their own: the kernels of varied ones round otherwise, and no row shall tell who else is in the call.
struct TilePlan {
  std::vector<cuda::AttentionTile> tiles;
  int64_t plain_tiles = 0;
  std::vector<cuda::TileRow> rows;
  std::vector<int32_t> pages;
};

struct AttentionPlan {
  TilePlan direct;                     // out_row is the row of the result
  TilePlan parts;                      // out_row counts the parts
  std::vector<cuda::RowParts> merges;  // of runs without segments, then of those with them,
  int64_t content_merges_from = 0;     // whose content is merged as well
  int64_t part_rows = 0;               // R of the parts' results
};

// The keys that row `row` of a run may see, by mask and window.
struct KeyInterval {
  int64_t first;
  int64_t end;
};
KeyInterval SeenBy(Mask mask, int64_t window, const QueryRun& run, int64_t row);

// What tiles make of a run's keys by its variant and its classes, as bytes; empty for a plain run. Segments' rules and masses come after the tiles.
std::vector<std::byte> EffectOf(const QueryRun& run, int64_t first_key, int64_t end_key);

struct PlanRequest {
  std::span<const QueryRun> runs;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  Mask mask = Mask::kCausal;
  int64_t window = 0;
};

// Keys of a part: fewer where there are few kv heads, so that the parts of one sequence occupy a device. By the model alone, never by the batch, so that a
// row's bits do not tell who else is there.
constexpr int64_t PartKeys(int64_t kv_heads) {
  return kv_heads <= 4 ? 64 : kv_heads <= 8 ? 128 : 256;
}
// Runs of fewer (rows × query heads of a kv head) are cut into parts.
inline constexpr int64_t kDirectRows = 16;
// What memory for parts is counted by: the most rows of a run that is cut into them, and the most parts of a row that sees `keys`.
constexpr int64_t MostRowsInParts(int64_t heads, int64_t kv_heads) {
  return std::max<int64_t>(1, (kDirectRows - 1) / (heads / kv_heads));
}
constexpr int64_t MostParts(int64_t keys, int64_t kv_heads) {
  return keys / PartKeys(kv_heads) + 2;
}
// In TilePlan: policy of plain runs, and of run r the one at 1 + r.
inline constexpr int32_t kPlainPolicy = 0;

// Overwrites `plan`, whose vectors keep their memory. Throws UNIMPLEMENTED for more than kTileRows query heads per kv head.
void PlanAttention(const PlanRequest& request, AttentionPlan& plan);

}  // namespace binocle
