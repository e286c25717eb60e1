// Attention over tiles on tensor cores (attention_cuda.h). Included by attention_tiles_cuda.cu and attention_tiles_varied_cuda.cu, which instantiate it.
//
// grid: (tiles, K), block: 128. A block has 64 rows, (row of queries, query head of the kv head), sixteen a warp, and walks over the tile's pages with
// two stages of keys and values in shared memory. A lane owns two rows' worth of an mma fragment: of scores 2 × 16 of a page's 64 columns, of the
// output 2 × d/4. Each key and value is read from memory once per block; per page a warp does 8·d/16 + 4·d/8 mmas.
// Bound: shared memory (every warp reads the whole page for sixteen rows), docs/cuda.md.
#pragma once

#include <type_traits>

#include "attention/attention_cuda.h"
#include "attention/segments.h"
#include "core/backend/cuda/device.h"

namespace binocle::cuda {

inline constexpr int kTileThreads = 128;
// Blocks that a multiprocessor shall have room for: what holds registers down to 128, 168 or 255 (docs/cuda.md).
constexpr int TileBlocks(int d, bool varied) { return varied || d > 80 ? 2 : d <= 32 ? 4 : 3; }
inline constexpr int kTileKeys = 64;  // a page
inline constexpr float kLog2E = 1.4426950408889634F;
inline constexpr float kLn2 = 0.6931471805599453F;
inline constexpr float kNothing = -INFINITY;

// Shared memory of a page's keys or values, [64, D] bf16 in rows of an odd number of 16-byte chunks, so that eight rows of a column of chunks lie in
// different banks.
template <int D>
struct PageTile {
  static constexpr int kChunks = D / 8;
  static constexpr int kRow = (kChunks + 1) * 8;  // elements from row to row
  static constexpr int kElements = kTileKeys * kRow;
};

template <int D>
constexpr int TileSharedBytes() {
  return 4 * PageTile<D>::kElements * 2;  // two stages of keys and values
}

// What a lane has to know of one of its rows, fragment rows g and g + 8 of its warp, while it walks over pages.
struct LaneRow {
  int first_key = 0;
  int end_key = 0;
  float gain = 1;  // the head's factor of KeyGain
};

// What a lane knows of its two rows' softmax: the running maximum in powers of two, the sum.
struct RunningRow {
  float shift = kNothing;
  float sum = 0;
};

// How a block's threads share out a tile's 16-byte chunks: so many side by side in a row, the rest in the rows below. A thread's chunks are then at
// fixed distances from its first, which costs no registers to remember.
template <int D>
struct CopyGrid {
  static constexpr int kChunks = D / 8;
  static constexpr int kAcross = kChunks % 8 == 0 ? 8 : kChunks % 4 == 0 ? 4 : 2;
  static constexpr int kDown = kTileThreads / kAcross;
};

template <int D, bool kVaried>
struct TileBlock {
  const AttentionWork<Bf16>& work;
  const AttentionTile& tile;
  int kv_head;

  BINOCLE_DEVICE int lane() const { return static_cast<int>(threadIdx.x) % kWarp; }
  BINOCLE_DEVICE int warp() const { return static_cast<int>(threadIdx.x) / kWarp; }
  // Whether this thread's warp has a row at all: a tile of decoded rows is as a rule one warp's.
  BINOCLE_DEVICE bool warp_has_rows() const { return present(warp() * 16); }
  BINOCLE_DEVICE bool present(int m) const { return m < tile.rows * work.shape.group; }
  BINOCLE_DEVICE int head(int m) const { return kv_head * work.shape.group + m % work.shape.group; }
  BINOCLE_DEVICE const TileRow& tile_row(int m) const {
    return work.rows[tile.first_row + m / work.shape.group];
  }

  BINOCLE_DEVICE LaneRow Row(int m) const {
    LaneRow row;
    if (!present(m)) return row;
    row.first_key = tile_row(m).first_key;
    row.end_key = tile_row(m).end_key;
    if constexpr (kVaried) {
      const float* factor = work.policies[tile.policy].head_factor;
      if (factor != nullptr) row.gain = factor[head(m)];
    }
    return row;
  }

  // Begins to copy [64, d] into `to`: queries (rows that are absent are zero), or a page.
  BINOCLE_DEVICE void CopyQueries(Bf16* to) const {
    using Grid = CopyGrid<D>;
    const int first_chunk = static_cast<int>(threadIdx.x) % Grid::kAcross;
    BINOCLE_UNROLL
    for (int down = 0; down < kTileKeys; down += Grid::kDown) {
      const int m = static_cast<int>(threadIdx.x) / Grid::kAcross + down;
      const bool valid = present(m);
      const Bf16* from = work.q;
      if (valid) from += tile_row(m).q_row * work.q_stride + int64_t{head(m)} * work.shape.head_dim;
      BINOCLE_UNROLL
      for (int across = 0; across < Grid::kChunks; across += Grid::kAcross) {
        const int i = (first_chunk + across) * 8;
        CopyAsync16(to + m * PageTile<D>::kRow + i, from + i, valid && i < work.shape.head_dim);
      }
    }
  }

  // A page's keys and values, begun to be copied. Those from `left` on are zero: their place in the last page is nobody's.
  BINOCLE_DEVICE void CopyPage(int page, int left, Bf16* keys, Bf16* values) const {
    using Grid = CopyGrid<D>;
    const int i = static_cast<int>(threadIdx.x) % Grid::kAcross * 8;
    const int key = static_cast<int>(threadIdx.x) / Grid::kAcross;
    const int64_t in_pages =
        work.pages[tile.first_page + page] * int64_t{work.shape.kv_heads} + kv_head;
    const int64_t from = (in_pages * kTileKeys + key) * D + i;
    const int to = key * PageTile<D>::kRow + i;
    CopyRows(work.kv.keys + from, left - key, keys + to);
    CopyRows(work.kv.values + from, left - key, values + to);
  }
  // This thread's chunks. `from` and `to` are of the first.
  BINOCLE_DEVICE static void CopyRows(const Bf16* from, int left, Bf16* to) {
    using Grid = CopyGrid<D>;
    BINOCLE_UNROLL
    for (int down = 0; down < kTileKeys; down += Grid::kDown) {
      BINOCLE_UNROLL
      for (int across = 0; across < Grid::kChunks; across += Grid::kAcross) {
        CopyAsync16(to + down * PageTile<D>::kRow + across * 8, from + down * D + across * 8,
                    down < left);
      }
    }
  }
};

// s [16, 64] ← q·kᵀ of a warp's rows and a page: fragments of 8 columns.
template <int D>
BINOCLE_DEVICE void MultiplyKeys(const uint32_t (&q)[D / 16][4], const Bf16* keys, int lane,
                                 float (&s)[8][4]) {
  BINOCLE_UNROLL
  for (int j = 0; j < 8; ++j) {
    BINOCLE_UNROLL
    for (int i = 0; i < 4; ++i) s[j][i] = 0;
  }
  // Matrices of a load: (8 keys, d lower), (8 keys, d upper), and the same of the next 8 keys.
  const int row = lane / 16 * 8 + lane % 8, column = lane / 8 % 2 * 8;
  BINOCLE_UNROLL
  for (int k = 0; k < D / 16; ++k) {
    BINOCLE_UNROLL
    for (int j = 0; j < 8; j += 2) {
      uint32_t b[4];
      LoadMatrix4(b, keys + (j * 8 + row) * PageTile<D>::kRow + k * 16 + column);
      MmaBf16(s[j], q[k], b[0], b[1]);
      MmaBf16(s[j + 1], q[k], b[2], b[3]);
    }
  }
}

// o [16, D] += p·v of a warp's rows and a page; p as fragments of 16 keys.
template <int D>
BINOCLE_DEVICE void MultiplyValues(const uint32_t (&p)[4][4], const Bf16* values, int lane,
                                   float (&o)[D / 8][4]) {
  // Matrices of a load: (keys lower, 8 of d), (keys upper, 8 of d), and the same of the next 8 of d.
  const int row = lane / 8 % 2 * 8 + lane % 8, column = lane / 16 * 8;
  BINOCLE_UNROLL
  for (int k = 0; k < 4; ++k) {
    BINOCLE_UNROLL
    for (int j = 0; j < D / 8; j += 2) {
      uint32_t b[4];
      LoadMatrix4Transposed(b, values + (k * 16 + row) * PageTile<D>::kRow + j * 8 + column);
      MmaBf16(o[j], p[k], b[0], b[1]);
      MmaBf16(o[j + 1], p[k], b[2], b[3]);
    }
  }
}

// Scores in powers of two: s·scale·log2 e.
BINOCLE_DEVICE void ScaleScores(float scale, float (&s)[8][4]) {
  const float factor = scale * kLog2E;
  BINOCLE_UNROLL
  for (int j = 0; j < 8; ++j) {
    BINOCLE_UNROLL
    for (int i = 0; i < 4; ++i) s[j][i] *= factor;
  }
}

// The same after the run's variant. `key`: position of the fragment's first column.
BINOCLE_DEVICE void VaryScores(const TilePolicy& policy, float scale, const LaneRow (&rows)[2],
                               int key, float (&s)[8][4]) {
  if (policy.kind == ScoreKind::kPlain) return ScaleScores(scale, s);
  BINOCLE_UNROLL
  for (int j = 0; j < 8; ++j) {
    // Of both columns that a lane has; both of its rows ask for them.
    float2 of_keys = make_float2(0, 0);
    if (policy.kind != ScoreKind::kSoftCap)
      of_keys = *reinterpret_cast<const float2*>(policy.by_key + key + j * 8);
    BINOCLE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float x = s[j][i] * scale;
      const float of_key = i % 2 == 0 ? of_keys.x : of_keys.y;
      float varied = x + of_key;
      if (policy.kind == ScoreKind::kKeyGain) varied = x + of_key * rows[i / 2].gain * fabsf(x);
      if (policy.kind == ScoreKind::kSoftCap) varied = policy.cap * tanhf(x / policy.cap);
      s[j][i] = varied * kLog2E;
    }
  }
}

BINOCLE_DEVICE void MaskScores(const LaneRow (&rows)[2], int key, float (&s)[8][4]) {
  BINOCLE_UNROLL
  for (int j = 0; j < 8; ++j) {
    BINOCLE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int at = key + j * 8 + i % 2;
      if (at < rows[i / 2].first_key || at >= rows[i / 2].end_key) s[j][i] = kNothing;
    }
  }
}

// s ← 2^(s − shift) with the shift of each row moved to its new maximum; factor: what everything summed so far is multiplied by.
BINOCLE_DEVICE void Exponentiate(RunningRow (&running)[2], float (&s)[8][4], float (&factor)[2]) {
  BINOCLE_UNROLL
  for (int r = 0; r < 2; ++r) {
    float most = running[r].shift;
    BINOCLE_UNROLL
    for (int j = 0; j < 8; ++j) most = fmaxf(most, fmaxf(s[j][2 * r], s[j][2 * r + 1]));
    // Four lanes hold a row.
    most = fmaxf(most, __shfl_xor_sync(kWholeWarp, most, 1));
    most = fmaxf(most, __shfl_xor_sync(kWholeWarp, most, 2));
    // Where a row has seen nothing yet, any finite shift keeps −∞ − shift from being NaN.
    const float shift = most == kNothing ? 0.0F : most;
    factor[r] = Exp2(running[r].shift - shift);
    running[r].shift = most;
    float sum = 0;
    BINOCLE_UNROLL
    for (int j = 0; j < 8; ++j) {
      s[j][2 * r] = Exp2(s[j][2 * r] - shift);
      s[j][2 * r + 1] = Exp2(s[j][2 * r + 1] - shift);
      sum += s[j][2 * r] + s[j][2 * r + 1];
    }
    running[r].sum = running[r].sum * factor[r] + sum;
  }
}

template <int D>
BINOCLE_DEVICE void Rescale(const float (&factor)[2], float (&o)[D / 8][4]) {
  BINOCLE_UNROLL
  for (int j = 0; j < D / 8; ++j) {
    BINOCLE_UNROLL
    for (int i = 0; i < 4; ++i) o[j][i] *= factor[i / 2];
  }
}

// Fragments of scores as the left side of the second product.
BINOCLE_DEVICE void PackWeights(const float (&s)[8][4], uint32_t (&p)[4][4]) {
  BINOCLE_UNROLL
  for (int k = 0; k < 4; ++k) {
    p[k][0] = PackBf16(s[2 * k][0], s[2 * k][1]);
    p[k][1] = PackBf16(s[2 * k][2], s[2 * k][3]);
    p[k][2] = PackBf16(s[2 * k + 1][0], s[2 * k + 1][1]);
    p[k][3] = PackBf16(s[2 * k + 1][2], s[2 * k + 1][3]);
  }
}

// Weights of visual keys that are no sinks stay, others become zero; their sums per row.
BINOCLE_DEVICE void KeepContent(const uint8_t* classes, int key, float (&s)[8][4],
                                float (&sum)[2]) {
  BINOCLE_UNROLL
  for (int j = 0; j < 8; ++j) {
    const uint16_t pair = *reinterpret_cast<const uint16_t*>(classes + key + j * 8);
    BINOCLE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if ((pair >> (i % 2 * 8) & 0xFF) != kVisualKey) s[j][i] = 0;
      sum[i / 2] += s[j][i];
    }
  }
}

// o / sum and its LSE, of fragment rows g and g + 8. `sum` is this lane's share.
template <int D, bool kVaried>
BINOCLE_DEVICE void WriteRows(const TileBlock<D, kVaried>& block, const RunningRow (&running)[2],
                              const float (&o)[D / 8][4], float* out, float* lse) {
  const AttentionShape& shape = block.work.shape;
  const int lane = block.lane();
  BINOCLE_UNROLL
  for (int r = 0; r < 2; ++r) {
    float sum = running[r].sum;
    sum += __shfl_xor_sync(kWholeWarp, sum, 1);
    sum += __shfl_xor_sync(kWholeWarp, sum, 2);
    const int m = block.warp() * 16 + lane / 4 + 8 * r;
    if (!block.present(m)) continue;
    const int64_t at = int64_t{block.tile_row(m).out_row} * shape.heads + block.head(m);
    // A sum of NaN is no empty one: −∞ + NaN.
    const float inverse = sum == 0 ? 0.0F : 1.0F / sum;
    if (lane % 4 == 0) lse[at] = sum == 0 ? kNothing : running[r].shift * kLn2 + logf(sum);
    float* row = out + at * shape.head_dim + lane % 4 * 2;
    BINOCLE_UNROLL
    for (int j = 0; j < D / 8; ++j) {
      if (j * 8 < shape.head_dim)
        *reinterpret_cast<float2*>(row + j * 8) =
            make_float2(o[j][2 * r] * inverse, o[j][2 * r + 1] * inverse);
    }
  }
}

template <int D, bool kVaried>
__global__ void __launch_bounds__(kTileThreads, TileBlocks(D, kVaried))
    AttendTilesKernel(const BINOCLE_GRID_CONSTANT AttentionWork<Bf16> work) {
  BINOCLE_DYNAMIC_SHARED(shared);
  constexpr int kElements = PageTile<D>::kElements;
  Bf16* keys = reinterpret_cast<Bf16*>(shared);  // two stages
  Bf16* values = keys + 2 * kElements;           // two stages
  // A copy where there are registers to keep it in: the compiler reads again what may have changed under an asynchronous copy.
  using Tile = std::conditional_t<kVaried, const AttentionTile&, const AttentionTile>;
  Tile tile = work.tiles[blockIdx.x];
  if (tile.rows == 0) return;  // fills a list up
  const TileBlock<D, kVaried> block{work, tile, static_cast<int>(blockIdx.y)};
  const int lane = block.lane();
  const LaneRow rows[2] = {block.Row(block.warp() * 16 + lane / 4),
                           block.Row(block.warp() * 16 + lane / 4 + 8)};
  const auto begin_page = [&](int page) {
    const int left = tile.end_key - (tile.first_key + page * kTileKeys);
    block.CopyPage(page, left, keys + page % 2 * kElements, values + page % 2 * kElements);
  };

  // Queries pass through the second stage on their way to registers.
  uint32_t q[D / 16][4];
  block.CopyQueries(keys + kElements);
  CopyCommit();
  if (tile.pages > 0) begin_page(0);
  CopyCommit();
  CopyWait<1>();
  __syncthreads();
  {
    const Bf16* row = keys + kElements + (block.warp() * 16 + lane % 16) * PageTile<D>::kRow;
    BINOCLE_UNROLL
    for (int k = 0; k < D / 16; ++k) LoadMatrix4(q[k], row + k * 16 + lane / 16 * 8);
  }
  __syncthreads();

  RunningRow running[2];
  float o[D / 8][4] = {};
  float content[kVaried ? D / 8 : 1][4] = {};
  float content_sum[2] = {};
  for (int page = 0; page < tile.pages; ++page) {
    if (page + 1 < tile.pages) begin_page(page + 1);
    CopyCommit();
    CopyWait<1>();
    __syncthreads();
    const int first = tile.first_key + page * kTileKeys;
    const int key = first + lane % 4 * 2;
    // Where the branch's registers are not to be had, warps without rows multiply zeros.
    if ((kVaried && D > 96) || block.warp_has_rows()) {
      float s[8][4];
      MultiplyKeys<D>(q, keys + page % 2 * kElements, lane, s);
      if constexpr (kVaried) {
        VaryScores(work.policies[tile.policy], work.shape.scale, rows, key, s);
      } else {
        ScaleScores(work.shape.scale, s);
      }
      if (first < tile.whole_from || first + kTileKeys > tile.whole_to) MaskScores(rows, key, s);
      float factor[2];
      Exponentiate(running, s, factor);
      Rescale<D>(factor, o);
      uint32_t p[4][4];
      PackWeights(s, p);
      MultiplyValues<D>(p, values + page % 2 * kElements, lane, o);
      if constexpr (kVaried) {
        const uint8_t* classes = work.policies[tile.policy].classes;
        if (classes != nullptr) {
          Rescale<D>(factor, content);
          content_sum[0] *= factor[0];
          content_sum[1] *= factor[1];
          KeepContent(classes, key, s, content_sum);
          PackWeights(s, p);
          MultiplyValues<D>(p, values + page % 2 * kElements, lane, content);
        }
      }
    }
    __syncthreads();
  }

  WriteRows<D, kVaried>(block, running, o, work.result.out, work.result.lse);
  if constexpr (kVaried) {
    if (work.policies[tile.policy].classes != nullptr) {
      running[0].sum = content_sum[0];
      running[1].sum = content_sum[1];
      WriteRows<D, kVaried>(block, running, content, work.result.content_out,
                            work.result.content_lse);
    }
  }
}

template <int D, bool kVaried>
void LaunchTiles(const AttentionWork<Bf16>& work, Stream stream) {
  const dim3 grid(static_cast<unsigned>(work.tile_count),
                  static_cast<unsigned>(work.shape.kv_heads));
  BINOCLE_LAUNCH((AttendTilesKernel<D, kVaried>), grid, dim3(kTileThreads), TileSharedBytes<D>(),
                 stream)
  (work);
}

// The kernel of the head's width.
template <bool kVaried>
void LaunchTilesOfWidth(const AttentionWork<Bf16>& work, Stream stream) {
  const int width = DeviceKvRow(work.shape.head_dim);
  if (width == 32) return LaunchTiles<32, kVaried>(work, stream);
  if (width == 64) return LaunchTiles<64, kVaried>(work, stream);
  if (width == 80) return LaunchTiles<80, kVaried>(work, stream);
  if (width == 96) return LaunchTiles<96, kVaried>(work, stream);
  LaunchTiles<128, kVaried>(work, stream);
}

}  // namespace binocle::cuda
