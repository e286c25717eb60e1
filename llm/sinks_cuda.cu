// MarkSinks: grid (⌈rows / 256⌉, ranges), block 256: a thread a row. ListSinks: grid (sequences), block 256: a block has a sequence and goes over its classes
// once, four of a thread's at a time, so that 4,096 positions take four rounds. Both are bound by their launch.
#include "llm/sinks_cuda.h"

#include "attention/segments.h"
#include "core/backend/cuda/device.h"
#include "core/backend/cuda/warp_scan-inl.h"

namespace binocle::cuda {
namespace {

constexpr int kSinkThreads = 256;
constexpr int kSinkWarps = kSinkThreads / kWarp;
constexpr int kTogether = 4;  // positions of a thread

BINOCLE_DEVICE bool IsSink(const SinkRange& range, const float* score) {
  const float peak = score[0], mean_square = score[1];
  if (range.released) return peak / sqrtf(mean_square + 1e-6F) > range.tau;
  const float phi = mean_square > 0 ? peak / sqrtf(mean_square) : 0.0F;
  return phi >= range.tau;
}

__global__ void __launch_bounds__(kSinkThreads)
    MarkSinksKernel(const BINOCLE_GRID_CONSTANT MarkSinksWork work) {
  const int index = static_cast<int>(blockIdx.y);
  const SinkRange& range = work.ranges[index];
  const int row = static_cast<int>(blockIdx.x * kSinkThreads + threadIdx.x);
  if (row >= range.rows) return;
  const int position = range.first_position + row;
  bool sink = false;
  if (work.scores != nullptr && position < range.end_of_sinks)
    sink = IsSink(range, work.scores + int64_t{range.first_score + row} * 2);
  const int layer = work.layer < 0 ? index : work.layer;
  range.classes[layer * range.layer_bytes + position] =
      static_cast<uint8_t>((range.visual ? kVisualKey : 0) | (sink ? kSinkKey : 0));
}

__global__ void __launch_bounds__(kSinkThreads)
    ListSinksKernel(const BINOCLE_GRID_CONSTANT ListSinksWork work) {
  BINOCLE_SHARED(int, of_warps, [kSinkWarps]);
  const SinkListing& sequence = work.sequences[blockIdx.x];
  const uint8_t* classes = sequence.classes + work.layer * sequence.layer_bytes;
  const int me = static_cast<int>(threadIdx.x);
  int listed = 0, visual = 0;
  for (int base = 0; base < sequence.keys; base += kSinkThreads * kTogether) {
    const int first = base + me * kTogether;
    int mine = 0, mine_visual = 0;
    bool sinks[kTogether];
    BINOCLE_UNROLL
    for (int i = 0; i < kTogether; ++i) {
      const unsigned c = first + i < sequence.keys ? classes[first + i] : 0U;
      sinks[i] = (c & kSinkKey) != 0;
      mine += sinks[i] ? 1 : 0;
      mine_visual += c == (kVisualKey | kSinkKey) ? 1 : 0;
    }
    // Both counts in one scan: no block has 2¹⁶ positions in a round.
    const int upto = WarpScan(mine | mine_visual << 16);
    if (me % kWarp == kWarp - 1) of_warps[me / kWarp] = upto;
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < kSinkWarps; ++w) {
      before += w < me / kWarp ? of_warps[w] : 0;
      total += of_warps[w];
    }
    int at = listed + ((before + upto) & 0xFFFF) - mine;
    BINOCLE_UNROLL
    for (int i = 0; i < kTogether; ++i)
      if (sinks[i]) sequence.sinks[at++] = first + i;
    listed += total & 0xFFFF;
    visual += total >> 16;
    __syncthreads();
  }
  if (me != 0) return;
  sequence.counts[0] = listed;
  sequence.counts[1] = visual;
}

}  // namespace

void MarkSinks(const MarkSinksWork& work, Stream stream) {
  if (work.count == 0 || work.most_rows == 0) return;
  const dim3 grid(static_cast<unsigned>((work.most_rows + kSinkThreads - 1) / kSinkThreads),
                  static_cast<unsigned>(work.count));
  BINOCLE_LAUNCH(MarkSinksKernel, grid, dim3(kSinkThreads), 0, stream)(work);
}

void ListSinks(const ListSinksWork& work, Stream stream) {
  if (work.count == 0) return;
  BINOCLE_LAUNCH(ListSinksKernel, dim3(static_cast<unsigned>(work.count)), dim3(kSinkThreads), 0,
                 stream)
  (work);
}

BINOCLE_COMMAND(kMarkSinks, MarkSinks(work, c.stream));
BINOCLE_COMMAND(kListSinks, ListSinks(work, c.stream));

}  // namespace binocle::cuda
