// grid: (T), block: 128. A block has a row: a thread a dimension, and of a rotated key the one of the other half with it. Reads and writes each number
// once; bound by memory.
#include "attention/device_kv_cuda.h"

#include "core/backend/cuda/device.h"

namespace binocle::cuda {
namespace {

constexpr int kKvThreads = 128;

// Dimension i of a key, rotated where there is a table.
BINOCLE_DEVICE float KeyAt(const WriteKvWork& work, const float* k, int row, int i) {
  if (work.cos == nullptr) return k[i];
  const int half = work.shape.head_dim / 2;
  const int64_t at = int64_t{work.positions[row]} * half + i % half;
  const float c = work.cos[at], s = work.sin[at];
  return i < half ? k[i] * c - k[i + half] * s : k[i] * c + k[i - half] * s;
}

template <typename Element>
__global__ void __launch_bounds__(kKvThreads)
    WriteKvKernel(const BINOCLE_GRID_CONSTANT WriteKvWork work, Element* keys, Element* values) {
  const int row = static_cast<int>(blockIdx.x);
  const int d = work.shape.head_dim, width = work.shape.kv_row;
  const int slot = work.slots[row];
  for (int at = static_cast<int>(threadIdx.x); at < work.shape.kv_heads * width; at += kKvThreads) {
    const int head = at / width, i = at % width;
    const int64_t to =
        ((int64_t{slot / 64} * work.shape.kv_heads + head) * 64 + slot % 64) * width + i;
    const float* k = work.k + row * work.k_stride + int64_t{head} * d;
    const float* v = work.v + row * work.v_stride + int64_t{head} * d;
    Store(keys + to, i < d ? KeyAt(work, k, row, i) : 0.0F);
    Store(values + to, i < d ? v[i] : 0.0F);
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
void LaunchWriteKv(const WriteKvWork& work, Element* keys, Element* values, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(WriteKvKernel<Element>, dim3(static_cast<unsigned>(work.rows)), dim3(kKvThreads),
                 0, stream)
  (work, keys, values);
}

}  // namespace

void WriteKv(const WriteKvWork& work, float* keys, float* values, Stream stream) {
  LaunchWriteKv(work, keys, values, stream);
}
void WriteKv(const WriteKvWork& work, Bf16* keys, Bf16* values, Stream stream) {
  LaunchWriteKv(work, keys, values, stream);
}

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

BINOCLE_COMMAND(kWriteKvF32, WriteKv(work.work, work.keys, work.values, c.stream));
BINOCLE_COMMAND(kWriteKvBf16, WriteKv(work.work, work.keys, work.values, c.stream));
BINOCLE_COMMAND(kGateHeads,
                GateHeads(work.work.shape, work.work.rows, work.work.factor, work.out, c.stream));
BINOCLE_COMMAND(kMixOwnValue, MixOwnValue(work.work, work.out, c.stream));

}  // namespace binocle::cuda
