// Attention without tensor cores (attention_cuda.h): f32, and heads that AttendTiles has no kernel for.
//
// grid: (tiles, H), block: 128. A block takes the tile's rows one after the other; a warp takes every fourth page, a lane two of a page's keys for the
// scores and then d/32 dimensions for the output. Warps are merged at the end of a row. 2·d reads of each key and value per row and query head, from
// L1 or L2 after the first: bound by those.
#include "attention/attention_scores_cuda-inl.h"
#include "attention/segments.h"

namespace binocle::cuda {
namespace {

constexpr int kRowThreads = 128;
constexpr int kRowWarps = kRowThreads / kWarp;
constexpr int kMostDim = 256;
constexpr int kLaneDims = kMostDim / kWarp;

// A softmax under way, of one warp. Lane l holds dimensions l, l + 32, …
struct RowState {
  float shift = kSeesNothing;
  float sum = 0;
  float content_sum = 0;
  float o[kLaneDims] = {};
  float content[kLaneDims] = {};
};

template <typename Element>
struct RowBlock {
  const AttentionWork<Element>& work;
  const AttentionTile& tile;
  const TilePolicy& policy;
  const TileRow& row;
  int head;
  int kv_head;
  int lane;

  BINOCLE_DEVICE float Score(const float* q, const Element* keys, int column, int key) const {
    if (key < row.first_key || key >= row.end_key) return kSeesNothing;
    float s = 0;
    for (int i = 0; i < work.shape.head_dim; ++i)
      s += q[i] * Load(keys + column * work.shape.kv_row + i);
    return VaryScore(policy, s * work.shape.scale, key, head);
  }

  // A page's keys into the state. weights [64] of this warp's own.
  BINOCLE_DEVICE void AddPage(const float* q, int page, float* weights, RowState& state) const {
    const int d = work.shape.head_dim;
    const int first = tile.first_key + page * 64;
    const int in_pages = work.pages[tile.first_page + page];
    const Element* keys = InPage(work.kv.keys, work.shape, in_pages, kv_head, 0);
    const Element* values = InPage(work.kv.values, work.shape, in_pages, kv_head, 0);
    const float low = Score(q, keys, lane, first + lane);
    const float high = Score(q, keys, lane + kWarp, first + lane + kWarp);
    const float most = fmaxf(state.shift, WarpMax(fmaxf(low, high)));
    // Only where all scores are −∞: NaN, which no maximum tells of, shall reach the sum.
    if (__all_sync(kWholeWarp, low == kSeesNothing && high == kSeesNothing) != 0) return;
    const float factor = expf(state.shift - most);
    weights[lane] = expf(low - most);
    weights[lane + kWarp] = expf(high - most);
    __syncwarp();
    state.shift = most;
    state.sum *= factor;
    state.content_sum *= factor;
    BINOCLE_UNROLL
    for (int i = 0; i < kLaneDims; ++i) {
      state.o[i] *= factor;
      state.content[i] *= factor;
    }
    const int seen = Smaller(64, tile.end_key - first);
    for (int column = 0; column < seen; ++column) {
      const float weight = weights[column];
      const bool is_content =
          policy.classes != nullptr && policy.classes[first + column] == kVisualKey;
      state.sum += weight;
      if (is_content) state.content_sum += weight;
      BINOCLE_UNROLL
      for (int i = 0; i < kLaneDims; ++i) {
        const int dim = lane + i * kWarp;
        if (dim >= d) continue;
        const float part = weight * Load(values + column * work.shape.kv_row + dim);
        state.o[i] += part;
        if (is_content) state.content[i] += part;
      }
    }
    __syncwarp();
  }
};

// What warps leave for the merge.
struct WarpPart {
  float shift;
  float sum;
  float o[kMostDim];
};

BINOCLE_DEVICE void LeavePart(float shift, float sum, const float (&o)[kLaneDims], int lane,
                              WarpPart& part) {
  if (lane == 0) {
    part.shift = shift;
    part.sum = sum;
  }
  BINOCLE_UNROLL
  for (int i = 0; i < kLaneDims; ++i) part.o[lane + i * kWarp] = o[i];
}

// By the whole block, a dimension a thread.
BINOCLE_DEVICE void WriteMerged(const WarpPart* parts, int d, int64_t at, float* out, float* lse) {
  float most = kSeesNothing;
  for (int w = 0; w < kRowWarps; ++w) most = fmaxf(most, parts[w].shift);
  float sum = 0;
  for (int w = 0; w < kRowWarps; ++w)
    sum += parts[w].sum == 0 ? 0.0F : parts[w].sum * expf(parts[w].shift - most);
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kRowThreads) {
    float o = 0;
    for (int w = 0; w < kRowWarps && sum != 0; ++w)
      o += parts[w].o[i] * expf(parts[w].shift - most);
    out[at * d + i] = sum != 0 ? o / sum : 0.0F;
  }
  if (threadIdx.x == 0) lse[at] = sum != 0 ? most + logf(sum) : kSeesNothing;
}

template <typename Element>
__global__ void __launch_bounds__(kRowThreads)
    AttendRowsKernel(const BINOCLE_GRID_CONSTANT AttentionWork<Element> work) {
  BINOCLE_SHARED(float, q, [kMostDim]);
  BINOCLE_SHARED(float, weights, [kRowWarps][64]);
  BINOCLE_SHARED(WarpPart, parts, [kRowWarps]);
  BINOCLE_SHARED(TilePolicy, policies, [1]);
  const AttentionTile& tile = work.tiles[blockIdx.x];
  // Policies are not there where all is plain.
  if (threadIdx.x == 0)
    policies[0] = work.varied ? work.policies[tile.policy]
                              : TilePolicy{ScoreKind::kPlain, 0, nullptr, nullptr, nullptr};
  __syncthreads();
  const TilePolicy& policy = policies[0];
  const int head = static_cast<int>(blockIdx.y);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int d = work.shape.head_dim;
  for (int r = 0; r < tile.rows; ++r) {
    const TileRow& row = work.rows[tile.first_row + r];
    const Element* from = work.q + row.q_row * work.q_stride + int64_t{head} * d;
    for (int i = static_cast<int>(threadIdx.x); i < d; i += kRowThreads) q[i] = Load(from + i);
    __syncthreads();
    RowState state;
    const RowBlock<Element> block{work, tile, policy, row, head, head / work.shape.group, lane};
    for (int page = warp; page < tile.pages; page += kRowWarps)
      block.AddPage(q, page, weights[warp], state);
    LeavePart(state.shift, state.sum, state.o, lane, parts[warp]);
    __syncthreads();
    const int64_t at = int64_t{row.out_row} * work.shape.heads + head;
    WriteMerged(parts, d, at, work.result.out, work.result.lse);
    if (policy.classes != nullptr) {
      __syncthreads();
      LeavePart(state.shift, state.content_sum, state.content, lane, parts[warp]);
      __syncthreads();
      WriteMerged(parts, d, at, work.result.content_out, work.result.content_lse);
    }
    // Parts are written again only after the next row's first barrier.
  }
}

template <typename Element>
void LaunchRows(const AttentionWork<Element>& work, Stream stream) {
  CheckShape(work.shape, kMostDim);
  if (work.tile_count == 0) return;
  const dim3 grid(static_cast<unsigned>(work.tile_count), static_cast<unsigned>(work.shape.heads));
  BINOCLE_LAUNCH(AttendRowsKernel<Element>, grid, dim3(kRowThreads), 0, stream)(work);
}

}  // namespace

void AttendRows(const AttentionWork<float>& work, Stream stream) { LaunchRows(work, stream); }
void AttendRows(const AttentionWork<Bf16>& work, Stream stream) { LaunchRows(work, stream); }

BINOCLE_COMMAND(kAttendRowsF32, AttendRows(work, c.stream));
BINOCLE_COMMAND(kAttendRowsBf16, AttendRows(work, c.stream));

}  // namespace binocle::cuda
