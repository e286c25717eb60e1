// RowsAsBytes: grid (T), block 256: a block has a row.
// MultiplyBytes: grid (⌈N / 4⌉), block 128: a warp has an output feature and up to R rows of x; a lane reads 16 bytes of the feature's weights at a time
// and multiplies them with as many of each row, four to an instruction. Weights are read once, from memory; x, from L1. Bound by reading the weights.
// Expand: a thread per eight weights.
#include "core/ops/compact_cuda.h"

#include "core/backend/cuda/device.h"
#include "core/error.h"

namespace binocle::cuda {
namespace {

constexpr int kByteThreads = 256;
constexpr int kFeaturesOfBlock = 4;
constexpr int kBlocks =
    4;  // a multiprocessor, at least: registers for what would be spilled otherwise
constexpr float kLargestFloat = 3.40282347e38F;
constexpr float kLeastMaximum = 1e-35F;  // below, 127 / max is infinite

// Over the block; every thread gets it. `values` [kByteThreads / kWarp] is free again after the next barrier.
BINOCLE_DEVICE float BlockMost(float value, float* values) {
  value = WarpMax(value);
  if (threadIdx.x % kWarp == 0) values[threadIdx.x / kWarp] = value;
  __syncthreads();
  for (int w = 0; w < kByteThreads / kWarp; ++w) value = fmaxf(value, values[w]);
  return value;
}

__global__ void __launch_bounds__(kByteThreads)
    RowsAsBytesKernel(const BINOCLE_GRID_CONSTANT RowsAsBytesWork work) {
  BINOCLE_SHARED(float, largest, [kByteThreads / kWarp]);
  BINOCLE_SHARED(float, broken, [kByteThreads / kWarp]);
  const int64_t row = blockIdx.x;
  const float* x = work.x + row * work.stride;
  const int me = static_cast<int>(threadIdx.x);
  const int depth = work.depth;
  float most = 0;
  float not_finite = 0;
  for (int i = me; i < depth; i += kByteThreads) {
    most = fmaxf(most, fabsf(x[i]));
    not_finite = fabsf(x[i]) <= kLargestFloat ? not_finite : 1.0F;
  }
  most = BlockMost(most, largest);
  not_finite = BlockMost(not_finite, broken);
  const float inverse = most > kLeastMaximum && not_finite == 0 ? 127.0F / most : 0.0F;
  if (me == 0) {
    const float scale = inverse > 0 ? most / 127.0F : 0.0F;
    work.to.scales[row] = not_finite == 0 ? scale : BitsToFloat(0x7FC00000U);
  }
  // A group is a warp's: its lanes are the group's elements. Warps that have no group go along.
  const int groups = (depth + 63) / 64 * (64 / kCompactGroup);
  for (int group = me / kWarp; group < groups; group += kByteThreads / kWarp) {
    const int i = group * kCompactGroup + me % kWarp;
    int sum = i < depth && inverse > 0 ? static_cast<int>(rintf(x[i] * inverse)) : 0;
    work.to.bytes[(row * groups) * kCompactGroup + i] = static_cast<int8_t>(sum);
    for (int offset = kWarp / 2; offset > 0; offset /= 2)
      sum += __shfl_xor_sync(kWholeWarp, sum, offset);
    if (me % kWarp == 0) work.to.group_sums[row * groups + group] = sum;
  }
}

// Σ of 16 weights of one byte.
BINOCLE_DEVICE int MultiplyWords(const uint4& w, const uint4& x) {
  int sum = __dp4a(static_cast<int>(w.x), static_cast<int>(x.x), 0);
  sum = __dp4a(static_cast<int>(w.y), static_cast<int>(x.y), sum);
  sum = __dp4a(static_cast<int>(w.z), static_cast<int>(x.z), sum);
  return __dp4a(static_cast<int>(w.w), static_cast<int>(x.w), sum);
}

// Σ q·x of 16 weights of four bits: half a group. A word of w holds k = 8i … 8i + 7, two words of x.
BINOCLE_DEVICE int MultiplyHalfGroup(int w0, int w1, const uint4& x) {
  constexpr int kHalves = 0x0F0F0F0F;
  int sum = __dp4a(w0 & kHalves, static_cast<int>(x.x), 0);
  sum = __dp4a(w0 >> 4 & kHalves, static_cast<int>(x.y), sum);
  sum = __dp4a(w1 & kHalves, static_cast<int>(x.z), sum);
  return __dp4a(w1 >> 4 & kHalves, static_cast<int>(x.w), sum);
}

// This lane's share of a feature's sums with kRows rows.
template <int kRows>
BINOCLE_DEVICE void SumBytes(const MultiplyBytesWork& work, int64_t feature, int lane,
                             int (&sum)[kRows]) {
  const int chunks = work.w.depth / 16;
  const uint4* w = reinterpret_cast<const uint4*>(work.w.q) + feature * chunks;
  const uint4* x = reinterpret_cast<const uint4*>(work.x.bytes);
  for (int chunk = lane; chunk < chunks; chunk += kWarp) {
    const uint4 of_w = w[chunk];
    BINOCLE_UNROLL
    for (int r = 0; r < kRows; ++r)
      if (r < work.rows) sum[r] += MultiplyWords(of_w, x[int64_t{r} * chunks + chunk]);
  }
}

template <int kRows>
BINOCLE_DEVICE void SumHalves(const MultiplyBytesWork& work, int64_t feature, int lane,
                              int (&sum)[kRows]) {
  const int groups = work.w.depth / kCompactGroup;
  const uint4* w = reinterpret_cast<const uint4*>(work.w.q) + feature * groups;
  const uint8_t* factors = work.w.factors + feature * (groups / 2);
  const uint4* x = reinterpret_cast<const uint4*>(work.x.bytes);
  for (int group = lane; group < groups; group += kWarp) {
    const uint4 of_w = w[group];
    const int factor = factors[group / 2] >> (group % 2 * 4) & 15;
    BINOCLE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (r >= work.rows) continue;
      const int64_t at = int64_t{r} * groups + group;
      const int product =
          MultiplyHalfGroup(static_cast<int>(of_w.x), static_cast<int>(of_w.y), x[2 * at]) +
          MultiplyHalfGroup(static_cast<int>(of_w.z), static_cast<int>(of_w.w), x[2 * at + 1]);
      sum[r] += factor * (product - 8 * work.x.group_sums[at]);
    }
  }
}

template <int kRows>
__global__ void __launch_bounds__(kWarp* kFeaturesOfBlock, kBlocks)
    MultiplyBytesKernel(const BINOCLE_GRID_CONSTANT MultiplyBytesWork work) {
  const int64_t feature = int64_t{blockIdx.x} * kFeaturesOfBlock + threadIdx.y;
  if (feature >= work.w.features) return;
  const int lane = static_cast<int>(threadIdx.x);
  int sum[kRows] = {};
  if (work.w.factors == nullptr) {
    SumBytes<kRows>(work, feature, lane, sum);
  } else {
    SumHalves<kRows>(work, feature, lane, sum);
  }
  BINOCLE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2)
      sum[r] += __shfl_xor_sync(kWholeWarp, sum[r], offset);
    if (r >= work.rows || lane != 0) continue;
    float* y = work.y + r * work.y_stride + feature;
    float value = work.w.scale[feature] * static_cast<float>(sum[r]) * work.x.scales[r];
    if (work.add == Add::kYes) value += *y;
    if (work.w.bias != nullptr) value += work.w.bias[feature];
    *y = value;
  }
}

__global__ void __launch_bounds__(kByteThreads)
    ExpandKernel(const BINOCLE_GRID_CONSTANT DeviceBytes w, Bf16* out) {
  const int64_t eight = int64_t{blockIdx.x} * kByteThreads + threadIdx.x;
  const int64_t first = eight * 8;
  if (first >= int64_t{w.features} * w.depth) return;
  const int64_t feature = first / w.depth;
  const float scale = w.scale[feature];
  float values[8];
  if (w.factors == nullptr) {
    const int8_t* q = static_cast<const int8_t*>(w.q) + first;
    for (int i = 0; i < 8; ++i) values[i] = scale * static_cast<float>(q[i]);
  } else {
    const uint32_t word = static_cast<const uint32_t*>(w.q)[eight];
    const int64_t group = first / kCompactGroup;
    const int factor = w.factors[group / 2] >> (group % 2 * 4) & 15;
    for (int i = 0; i < 8; ++i) {
      const int q = static_cast<int>(word >> (i % 4 * 8 + i / 4 * 4) & 15U);
      values[i] = scale * static_cast<float>(factor * (q - 8));
    }
  }
  uint4 packed;
  packed.x = PackBf16(values[0], values[1]);
  packed.y = PackBf16(values[2], values[3]);
  packed.z = PackBf16(values[4], values[5]);
  packed.w = PackBf16(values[6], values[7]);
  reinterpret_cast<uint4*>(out)[eight] = packed;
}

template <int kRows>
void LaunchMultiply(const MultiplyBytesWork& work, Stream stream) {
  const auto blocks =
      static_cast<unsigned>((work.w.features + kFeaturesOfBlock - 1) / kFeaturesOfBlock);
  BINOCLE_LAUNCH(MultiplyBytesKernel<kRows>, dim3(blocks), dim3(kWarp, kFeaturesOfBlock), 0, stream)
  (work);
}

}  // namespace

void RowsAsBytes(const RowsAsBytesWork& work, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(RowsAsBytesKernel, dim3(static_cast<unsigned>(work.rows)), dim3(kByteThreads), 0,
                 stream)
  (work);
}

void MultiplyBytes(const MultiplyBytesWork& work, Stream stream) {
  BINOCLE_CHECK(work.w.depth % 64 == 0 && work.rows <= kMostCompactRows, work.rows,
                " rows, a depth of ", work.w.depth);
  if (work.rows == 0 || work.w.features == 0) return;
  if (work.rows == 1) return LaunchMultiply<1>(work, stream);
  if (work.rows <= 4) return LaunchMultiply<4>(work, stream);
  LaunchMultiply<kMostCompactRows>(work, stream);
}

void Expand(const DeviceBytes& w, Bf16* out, Stream stream) {
  const int64_t eights = int64_t{w.features} * w.depth / 8;
  if (eights == 0) return;
  const auto blocks = static_cast<unsigned>((eights + kByteThreads - 1) / kByteThreads);
  BINOCLE_LAUNCH(ExpandKernel, dim3(blocks), dim3(kByteThreads), 0, stream)(w, out);
}

BINOCLE_COMMAND(kRowsAsBytes, RowsAsBytes(work, c.stream));
BINOCLE_COMMAND(kMultiplyBytes, MultiplyBytes(work, c.stream));
BINOCLE_COMMAND(kExpand, Expand(work.w, work.out, c.stream));

}  // namespace binocle::cuda
