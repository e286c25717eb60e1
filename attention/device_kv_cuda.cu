// RopeAndWriteKv, WriteKv: grid (T, ⌈items / 128⌉), block 128: a thread has an item of a row, two numbers of a query, of a key or of a value: so that one row
// occupies as many multiprocessors as it has heads for. GateHeads, MixOwnValue: grid (T), block 128. Each number is read once and written once; bound by memory.
#include "attention/device_kv_cuda.h"

#include "core/backend/cuda/device.h"

namespace binocle::cuda {
namespace {

constexpr int kKvThreads = 128;

struct Pair {
  float low, high;
};

// Numbers i and i + d/2 of a head, rotated.
BINOCLE_DEVICE Pair Rotated(const WriteKvWork& work, const float* head, int row, int i) {
  const int half = work.shape.head_dim / 2;
  const int64_t at = int64_t{work.positions[row]} * half + i;
  const float c = work.cos[at], s = work.sin[at];
  const float low = head[i], high = head[i + half];
  return {low * c - high * s, high * c + low * s};
}

BINOCLE_DEVICE void StoreTwo(float* to, Pair values) {
  *reinterpret_cast<float2*>(to) = make_float2(values.low, values.high);
}
BINOCLE_DEVICE void StoreTwo(Bf16* to, Pair values) {
  *reinterpret_cast<uint32_t*>(to) = PackBf16(values.low, values.high);
}

// Numbers 2p and 2p + 1 of a head's row in its page: as they are, zero from d on.
template <typename Element>
BINOCLE_DEVICE void CopyTwo(const float* head, int p, int d, Element* to) {
  StoreTwo(to + 2 * p, {2 * p < d ? head[2 * p] : 0.0F, 2 * p + 1 < d ? head[2 * p + 1] : 0.0F});
}

// A rotated key: item p is the pair (p, p + d/2), and behind them two zeros each.
template <typename Element>
BINOCLE_DEVICE void RotateIntoPage(const WriteKvWork& work, const float* head, int row, int p,
                                   Element* to) {
  const int d = work.shape.head_dim, half = d / 2;
  if (p >= half) return StoreTwo(to + d + 2 * (p - half), {0, 0});
  const Pair pair = Rotated(work, head, row, p);
  Store(to + p, pair.low);
  Store(to + p + half, pair.high);
}

// Items of a row: those of its queries, where there are any, of its keys, of its values.
template <typename Element>
__global__ void __launch_bounds__(kKvThreads)
    WriteKvKernel(const BINOCLE_GRID_CONSTANT RopeKvWork<Element> work) {
  const WriteKvWork& kv = work.kv;
  const int row = static_cast<int>(blockIdx.x);
  const int d = kv.shape.head_dim, half = d / 2, pairs = kv.shape.kv_row / 2;
  const int of_q = work.q == nullptr ? 0 : kv.shape.heads * half, of_k = kv.shape.kv_heads * pairs;
  const int at = static_cast<int>(blockIdx.y) * kKvThreads + static_cast<int>(threadIdx.x);
  if (at < of_q) {
    const int head = at / half, p = at % half;
    const Pair pair = Rotated(kv, work.q + row * work.q_stride + int64_t{head} * d, row, p);
    Element* to = work.rotated + row * work.rotated_stride + int64_t{head} * d + p;
    Store(to, work.scale * pair.low);
    Store(to + half, work.scale * pair.high);
    return;
  }
  const int item = (at - of_q) % of_k, head = item / pairs, p = item % pairs;
  const int slot = kv.slots[row];
  const int64_t to =
      ((int64_t{slot / 64} * kv.shape.kv_heads + head) * 64 + slot % 64) * int64_t{kv.shape.kv_row};
  if (at < of_q + of_k) {
    const float* k = kv.k + row * kv.k_stride + int64_t{head} * d;
    if (kv.cos == nullptr) return CopyTwo(k, p, d, work.keys + to);
    RotateIntoPage(kv, k, row, p, work.keys + to);
  } else if (at < of_q + 2 * of_k) {
    CopyTwo(kv.v + row * kv.v_stride + int64_t{head} * d, p, d, work.values + to);
  }
}

__global__ void __launch_bounds__(kKvThreads)
    GateHeadsKernel(int heads, int head_dim, const float* factor, float* z) {
  const int64_t row = blockIdx.x;
  for (int i = static_cast<int>(threadIdx.x); i < heads * head_dim; i += kKvThreads) {
    const float f = factor[row * heads + i / head_dim];
    if (f != 1) z[row * heads * head_dim + i] *= f;
  }
}

__global__ void __launch_bounds__(kKvThreads)
    MixOwnValueKernel(const BINOCLE_GRID_CONSTANT MixWork work, float* z) {
  const int64_t row = blockIdx.x;
  const int d = work.shape.head_dim, heads = work.shape.heads;
  for (int i = static_cast<int>(threadIdx.x); i < heads * d; i += kKvThreads) {
    const int head = i / d;
    const float f = work.factor[row * heads + head];
    if (f != 0)
      z[row * heads * d + i] +=
          f * work.v[row * work.v_stride + head / work.shape.group * d + i % d];
  }
}

template <typename Element>
void LaunchWriteKv(const RopeKvWork<Element>& work, Stream stream) {
  const AttentionShape& shape = work.kv.shape;
  if (work.kv.rows == 0) return;
  const int64_t items = (work.q == nullptr ? 0 : int64_t{shape.heads} * (shape.head_dim / 2)) +
                        int64_t{shape.kv_heads} * shape.kv_row;
  const dim3 grid(static_cast<unsigned>(work.kv.rows),
                  static_cast<unsigned>((items + kKvThreads - 1) / kKvThreads));
  BINOCLE_LAUNCH(WriteKvKernel<Element>, grid, dim3(kKvThreads), 0, stream)(work);
}

}  // namespace

void RopeAndWriteKv(const RopeKvWork<float>& work, Stream stream) { LaunchWriteKv(work, stream); }
void RopeAndWriteKv(const RopeKvWork<Bf16>& work, Stream stream) { LaunchWriteKv(work, stream); }

void GateHeads(const AttentionShape& shape, int32_t rows, const float* factor, float* z,
               Stream stream) {
  if (rows == 0) return;
  BINOCLE_LAUNCH(GateHeadsKernel, dim3(static_cast<unsigned>(rows)), dim3(kKvThreads), 0, stream)
  (shape.heads, shape.head_dim, factor, z);
}

void MixOwnValue(const MixWork& work, float* z, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(MixOwnValueKernel, dim3(static_cast<unsigned>(work.rows)), dim3(kKvThreads), 0,
                 stream)
  (work, z);
}

BINOCLE_COMMAND(kRopeAndWriteKvF32, RopeAndWriteKv(work, c.stream));
BINOCLE_COMMAND(kRopeAndWriteKvBf16, RopeAndWriteKv(work, c.stream));
BINOCLE_COMMAND(kGateHeads,
                GateHeads(work.work.shape, work.work.rows, work.work.factor, work.out, c.stream));
BINOCLE_COMMAND(kMixOwnValue, MixOwnValue(work.work, work.out, c.stream));

}  // namespace binocle::cuda
