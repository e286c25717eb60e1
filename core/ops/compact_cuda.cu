// RowsAsBytes: grid (T), block 256: a block has a row.
// MultiplyBytes: grid (⌈N / 4F⌉), block 128: a warp has F output features, 2 or 4, and up to R rows of x; a lane reads 16 bytes of each feature's weights
// at a time, all of them under way together, and multiplies them with as many of each row, four to an instruction. Weights are read once, from memory; x, from
// L1, once for F features. Bound by reading the weights.
// Expand: a thread per eight weights. SumBytes: a thread per sum. FinishBytes: a thread per result. The latter two: grid (⌈N / 256⌉, T).
#include "core/ops/compact_cuda.h"

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/device.h"
#include "core/error.h"

namespace binocle::cuda {
namespace {

constexpr int kByteThreads = 256;
constexpr int kWarpsOfBlock = 4;
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
BINOCLE_DEVICE int MultiplyWords(uint4 w, uint4 x) {
  int sum = __dp4a(static_cast<int>(w.x), static_cast<int>(x.x), 0);
  sum = __dp4a(static_cast<int>(w.y), static_cast<int>(x.y), sum);
  sum = __dp4a(static_cast<int>(w.z), static_cast<int>(x.z), sum);
  return __dp4a(static_cast<int>(w.w), static_cast<int>(x.w), sum);
}

// Σ q·x of 16 weights of four bits: half a group. A word of w holds k = 8i … 8i + 7, two words of x.
BINOCLE_DEVICE int MultiplyHalfGroup(unsigned w0, unsigned w1, uint4 x) {
  constexpr unsigned kHalves = 0x0F0F0F0F;
  int sum = __dp4a(static_cast<int>(w0 & kHalves), static_cast<int>(x.x), 0);
  sum = __dp4a(static_cast<int>(w0 >> 4 & kHalves), static_cast<int>(x.y), sum);
  sum = __dp4a(static_cast<int>(w1 & kHalves), static_cast<int>(x.z), sum);
  return __dp4a(static_cast<int>(w1 >> 4 & kHalves), static_cast<int>(x.w), sum);
}

// A warp's features, whose weights meet x together: x is read once for all of them. More of them where more rows are, and registers for them.
template <int kRows, bool kFourBits>
constexpr int kFeaturesOfWarp = kRows > 4 && !kFourBits ? 4 : 2;

// This lane's share of the sums of kFeatures features, from `first` on, with kRows rows. Vectors are loaded as values: through a reference the compiler
// loads them a word at a time.
template <int kFeatures, int kRows>
BINOCLE_DEVICE void SumBytes(const MultiplyBytesWork& work, int first, int lane,
                             int (&sum)[kFeatures][kRows]) {
  const int chunks = work.w.depth / 16;
  const uint4* w = static_cast<const uint4*>(work.w.q);
  const uint4* x = reinterpret_cast<const uint4*>(work.x.bytes);
  for (int chunk = lane; chunk < chunks; chunk += kWarp) {
    uint4 of_w[kFeatures];
    BINOCLE_UNROLL
    for (int f = 0; f < kFeatures; ++f)
      of_w[f] = w[int64_t{Smaller(first + f, work.w.features - 1)} * chunks + chunk];
    BINOCLE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (r >= work.rows) continue;
      const uint4 of_x = x[r * chunks + chunk];
      BINOCLE_UNROLL
      for (int f = 0; f < kFeatures; ++f) sum[f][r] += MultiplyWords(of_w[f], of_x);
    }
  }
}

template <int kFeatures, int kRows>
BINOCLE_DEVICE void SumHalves(const MultiplyBytesWork& work, int first, int lane,
                              int (&sum)[kFeatures][kRows]) {
  const int groups = work.w.depth / kCompactGroup;
  const uint4* w = static_cast<const uint4*>(work.w.q);
  const uint4* x = reinterpret_cast<const uint4*>(work.x.bytes);
  for (int group = lane; group < groups; group += kWarp) {
    uint4 of_w[kFeatures];
    int factor[kFeatures];
    BINOCLE_UNROLL
    for (int f = 0; f < kFeatures; ++f) {
      const int64_t feature = Smaller(first + f, work.w.features - 1);
      of_w[f] = w[feature * groups + group];
      factor[f] = work.w.factors[feature * (groups / 2) + group / 2] >> (group % 2 * 4) & 15;
    }
    BINOCLE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (r >= work.rows) continue;
      const int at = r * groups + group;
      const uint4 low = x[2 * at], high = x[2 * at + 1];
      const int start = -8 * work.x.group_sums[at];
      BINOCLE_UNROLL
      for (int f = 0; f < kFeatures; ++f) {
        const int product = start + MultiplyHalfGroup(of_w[f].x, of_w[f].y, low) +
                            MultiplyHalfGroup(of_w[f].z, of_w[f].w, high);
        sum[f][r] += factor[f] * product;
      }
    }
  }
}

// y of row r and a feature from its sum. The CPU's roundings (compact_rows_cpu.cc), whatever a compiler would make of a product and a sum.
BINOCLE_DEVICE void WriteProduct(const MultiplyBytesWork& work, int r, int feature, int sum) {
  float* y = work.y + r * work.y_stride + feature;
  const float factor = __fmul_rn(work.w.scale[feature], work.x.scales[r]);
  const float base = work.add == Add::kYes ? *y : 0.0F;
  float value = __fmaf_rn(static_cast<float>(sum), factor, base);
  if (work.w.bias != nullptr) value = __fadd_rn(value, work.w.bias[feature]);
  *y = value;
}

template <int kRows, bool kFourBits>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock, kBlocks)
    MultiplyBytesKernel(const BINOCLE_GRID_CONSTANT MultiplyBytesWork work) {
  constexpr int kFeatures = kFeaturesOfWarp<kRows, kFourBits>;
  const int first = static_cast<int>(blockIdx.x * kWarpsOfBlock + threadIdx.y) * kFeatures;
  if (first >= work.w.features) return;
  const int lane = static_cast<int>(threadIdx.x);
  int sum[kFeatures][kRows] = {};
  if constexpr (kFourBits) {
    SumHalves(work, first, lane, sum);
  } else {
    SumBytes(work, first, lane, sum);
  }
  BINOCLE_UNROLL
  for (int f = 0; f < kFeatures; ++f) {
    BINOCLE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      for (int offset = kWarp / 2; offset > 0; offset /= 2)
        sum[f][r] += __shfl_xor_sync(kWholeWarp, sum[f][r], offset);
      if (lane == 0 && r < work.rows && first + f < work.w.features)
        WriteProduct(work, r, first + f, sum[f][r]);
    }
  }
}

__global__ void __launch_bounds__(kByteThreads)
    ExpandKernel(const BINOCLE_GRID_CONSTANT ExpandWork work) {
  const DeviceBytes& w = work.w;
  const int64_t eight = int64_t{blockIdx.x} * kByteThreads + threadIdx.x;
  const int64_t first = eight * 8, feature = first / w.depth;
  if (feature >= (w.features + 3) / 4 * 4) return;  // PaddedFeatures
  unsigned packed[2] = {};
  if (feature < w.features) {
    const uint32_t word = static_cast<const uint32_t*>(w.q)[eight];
    const int64_t group = first / kCompactGroup;
    const int factor = w.factors[group / 2] >> (group % 2 * 4) & 15;
    BINOCLE_UNROLL
    for (int i = 0; i < 8; ++i) {
      const int q = static_cast<int>(word >> (i % 4 * 8 + i / 4 * 4) & 15U);
      packed[i / 4] |= (static_cast<unsigned>(factor * (q - 8)) & 0xFFU) << (i % 4 * 8);
    }
  }
  uint2* out = reinterpret_cast<uint2*>(work.out) + eight;
  out->x = packed[0];
  out->y = packed[1];
}

__global__ void __launch_bounds__(kByteThreads)
    SumBytesKernel(const BINOCLE_GRID_CONSTANT SumBytesWork work) {
  const int feature = static_cast<int>(blockIdx.x * kByteThreads + threadIdx.x);
  if (feature >= work.features) return;
  const int64_t row = blockIdx.y;
  const uint4* x = reinterpret_cast<const uint4*>(work.x + row * work.depth);
  const uint4* w = reinterpret_cast<const uint4*>(work.w + int64_t{feature} * work.depth);
  int sum = 0;
  for (int chunk = 0; chunk < work.depth / 16; ++chunk) {
    const uint4 of_x = x[chunk], of_w = w[chunk];
    sum += MultiplyWords(of_w, of_x);
  }
  work.sums[row * work.sums_stride + feature] = sum;
}

__global__ void __launch_bounds__(kByteThreads)
    FinishBytesKernel(const BINOCLE_GRID_CONSTANT FinishBytesWork work) {
  const int feature = static_cast<int>(blockIdx.x * kByteThreads + threadIdx.x);
  if (feature >= work.product.w.features) return;
  const int row = static_cast<int>(blockIdx.y);
  WriteProduct(work.product, row, feature, work.sums[row * work.sums_stride + feature]);
}

dim3 GridOf(int features, int rows) {
  return {static_cast<unsigned>((features + kByteThreads - 1) / kByteThreads),
          static_cast<unsigned>(rows)};
}

template <int kRows, bool kFourBits>
void LaunchOfKind(const MultiplyBytesWork& work, Stream stream) {
  constexpr int kOfBlock = kWarpsOfBlock * kFeaturesOfWarp<kRows, kFourBits>;
  const auto blocks = static_cast<unsigned>((work.w.features + kOfBlock - 1) / kOfBlock);
  BINOCLE_LAUNCH((MultiplyBytesKernel<kRows, kFourBits>), dim3(blocks), dim3(kWarp, kWarpsOfBlock),
                 0, stream)
  (work);
}

template <int kRows>
void LaunchMultiply(const MultiplyBytesWork& work, Stream stream) {
  if (work.w.factors == nullptr) return LaunchOfKind<kRows, false>(work, stream);
  LaunchOfKind<kRows, true>(work, stream);
}

}  // namespace

void RowsAsBytes(const RowsAsBytesWork& work, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(RowsAsBytesKernel, dim3(static_cast<unsigned>(work.rows)), dim3(kByteThreads), 0,
                 stream)
  (work);
}

void MultiplyBytes(const MultiplyBytesWork& work, Stream stream) {
  if (work.w.depth % 64 != 0 || work.rows > kMostCompactRows)
    Throw(Code::kInternal, "a product with bytes: ", work.rows, " rows, a depth of ", work.w.depth,
          ", expected at most ", kMostCompactRows, " rows and a multiple of 64");
  CheckAligned(work.w.q, 16, "weights");
  CheckAligned(work.x.bytes, 16, "rows");
  if (work.rows == 0 || work.w.features == 0) return;
  if (work.rows == 1) return LaunchMultiply<1>(work, stream);
  if (work.rows <= 4) return LaunchMultiply<4>(work, stream);
  LaunchMultiply<kMostCompactRows>(work, stream);
}

void Expand(const ExpandWork& work, Stream stream) {
  const int64_t eights = PaddedFeatures(work.w.features) * work.w.depth / 8;
  if (eights == 0) return;
  CheckAligned(work.out, 16, "expanded weights");
  const auto blocks = static_cast<unsigned>((eights + kByteThreads - 1) / kByteThreads);
  BINOCLE_LAUNCH(ExpandKernel, dim3(blocks), dim3(kByteThreads), 0, stream)(work);
}

void SumBytes(const SumBytesWork& work, Stream stream) {
  if (work.rows == 0 || work.features == 0) return;
  CheckAligned(work.x, 16, "rows");
  CheckAligned(work.w, 16, "weights");
  BINOCLE_LAUNCH(SumBytesKernel, GridOf(work.features, work.rows), dim3(kByteThreads), 0, stream)
  (work);
}

void FinishBytes(const FinishBytesWork& work, Stream stream) {
  if (work.product.rows == 0 || work.product.w.features == 0) return;
  BINOCLE_LAUNCH(FinishBytesKernel, GridOf(work.product.w.features, work.product.rows),
                 dim3(kByteThreads), 0, stream)
  (work);
}

BINOCLE_COMMAND(kRowsAsBytes, RowsAsBytes(work, c.stream));
BINOCLE_COMMAND(kMultiplyBytes, MultiplyBytes(work, c.stream));
BINOCLE_COMMAND(kExpand, Expand(work, c.stream));
BINOCLE_COMMAND(kFinishBytes, FinishBytes(work, c.stream));

}  // namespace binocle::cuda
