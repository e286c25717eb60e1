// Norm: grid (T), block 256: a block has a row, three passes over it, of which memory sees one. Others: a thread an element, grid as many blocks as that
// takes. All bound by memory: every number is read once and written once.
#include "core/ops/rows_cuda.h"

#include "core/backend/cuda/device.h"

namespace binocle::cuda {
namespace {

constexpr int kRowThreads = 256;
constexpr int kRowWarps = kRowThreads / kWarp;

unsigned Blocks(int64_t count) {
  return static_cast<unsigned>((count + kRowThreads - 1) / kRowThreads);
}

BINOCLE_DEVICE int64_t Index() { return int64_t{blockIdx.x} * kRowThreads + threadIdx.x; }

// Over the block; every thread gets it. `sums` [kRowWarps] is free again after the next barrier.
BINOCLE_DEVICE float BlockSum(float value, float* sums) {
  value = WarpSum(value);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = value;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < kRowWarps; ++w) sum += sums[w];
  return sum;
}

template <typename Out>
__global__ void __launch_bounds__(kRowThreads)
    NormKernel(const BINOCLE_GRID_CONSTANT NormWork work, Out* out) {
  BINOCLE_SHARED(float, mean_sums, [kRowWarps]);
  BINOCLE_SHARED(float, square_sums, [kRowWarps]);
  const int width = work.width;
  const unsigned heads = static_cast<unsigned>(work.heads);
  const int64_t at = blockIdx.x / heads * work.stride + int64_t{blockIdx.x % heads} * width;
  const float* x = work.x + at;
  out += at;
  const int first = static_cast<int>(threadIdx.x);
  float mean = 0;
  if (work.bias != nullptr) {
    float sum = 0;
    for (int i = first; i < width; i += kRowThreads) sum += x[i];
    mean = BlockSum(sum, mean_sums) / static_cast<float>(width);
  }
  float squares = 0;
  for (int i = first; i < width; i += kRowThreads) squares += (x[i] - mean) * (x[i] - mean);
  const float mean_square = BlockSum(squares, square_sums) / static_cast<float>(width);
  const float scale = 1.0F / sqrtf(mean_square + work.epsilon);
  for (int i = first; i < width; i += kRowThreads) {
    const float bias = work.bias == nullptr ? 0.0F : work.bias[i];
    Store(out + i, (x[i] - mean) * scale * work.weight[i] + bias);
  }
}

template <typename Out>
__global__ void __launch_bounds__(kRowThreads)
    RopeKernel(const BINOCLE_GRID_CONSTANT RopeWork work, Out* out) {
  const int half = work.head_dim / 2;
  const int64_t at = Index();
  if (at >= int64_t{work.rows} * work.heads * half) return;
  const int64_t row = at / (work.heads * half);
  const int pair = static_cast<int>(at % (work.heads * half));
  const int column = pair / half * work.head_dim + pair % half;
  const int64_t angle = int64_t{work.positions[row]} * half + pair % half;
  const float c = work.cos[angle], s = work.sin[angle];
  const float low = work.x[row * work.x_stride + column];
  const float high = work.x[row * work.x_stride + column + half];
  Store(out + row * work.out_stride + column, low * c - high * s);
  Store(out + row * work.out_stride + column + half, high * c + low * s);
}

BINOCLE_DEVICE float Activated(Activation activation, float x) {
  if (activation == Activation::kGelu) return 0.5F * x * (1 + erff(x * 0.70710678F));
  if (activation == Activation::kGeluTanh)
    return 0.5F * x * (1 + tanhf(0.79788456F * (x + 0.044715F * x * x * x)));
  return x / (1 + expf(-1.702F * x));
}

template <typename Out>
__global__ void __launch_bounds__(kRowThreads)
    ActivateKernel(Activation activation, const float* x, int64_t count, Out* out) {
  const int64_t i = Index();
  if (i < count) Store(out + i, Activated(activation, x[i]));
}

template <typename Out>
__global__ void __launch_bounds__(kRowThreads) SiluMulKernel(SiluWork work, Out* out) {
  const int64_t i = Index();
  if (i >= int64_t{work.rows} * work.width) return;
  const float* gate = work.gate_up + i / work.width * 2 * work.width + i % work.width;
  const float g = gate[0], up = gate[work.width];
  Store(out + i, g / (1 + expf(-g)) * up);
}

__global__ void __launch_bounds__(kRowThreads) AddRowsKernel(AddWork work, float* x) {
  const int64_t i = Index();
  if (i >= int64_t{work.rows} * work.width) return;
  const int64_t row = i / work.width, column = i % work.width;
  const float y = work.y[row % work.y_rows * work.width + column];
  x[i] += work.gamma == nullptr ? y : work.gamma[column] * y;
}

template <typename Element>
__global__ void __launch_bounds__(kRowThreads)
    EmbeddingKernel(EmbeddingWork work, const Element* table, float* out) {
  const int64_t i = Index();
  if (i >= int64_t{work.rows} * work.width) return;
  const int32_t id = work.ids[i / work.width];
  out[i] = id < 0 ? 0.0F : Load(table + int64_t{id} * work.width + i % work.width);
}

__global__ void __launch_bounds__(kRowThreads) MixRowsKernel(MixRowsWork work) {
  const int64_t i = Index();
  if (i >= int64_t{work.rows} * work.width) return;
  const int64_t row = i / work.width, column = i % work.width;
  float value = work.a * work.x[row * work.x_stride + column];
  if (work.y != nullptr) value += work.b * work.y[row * work.y_stride + column];
  work.out[row * work.out_stride + column] = value;
}

__global__ void __launch_bounds__(kRowThreads) RoundRowsKernel(RoundWork work) {
  const int64_t i = Index();
  if (i >= int64_t{work.rows} * work.width) return;
  Store(work.out + i, work.scale * work.x[i / work.width * work.stride + i % work.width]);
}

__global__ void __launch_bounds__(kRowThreads) ResampleRowsKernel(ResampleWork work) {
  const int64_t i = Index();
  if (i >= int64_t{work.rows} * work.width) return;
  const ResampleTap& tap = work.taps[i / work.width];
  const float* x = work.x + i % work.width;
  float values[4];
  BINOCLE_UNROLL
  for (int r = 0; r < 4; ++r) values[r] = x[int64_t{tap.row[r]} * work.width];
  const float fx = tap.weight[0], fy = tap.weight[1];
  const float top = values[0] * (1 - fx) + values[1] * fx;
  const float bottom = values[2] * (1 - fx) + values[3] * fx;
  work.out[i] = top * (1 - fy) + bottom * fy;
}

__global__ void __launch_bounds__(kRowThreads)
    PeaksOfRowsKernel(const BINOCLE_GRID_CONSTANT PeakWork work) {
  BINOCLE_SHARED(float, sums, [kRowWarps]);
  const float* x = work.x + int64_t{blockIdx.x} * work.width;
  float squares = 0;
  for (int i = static_cast<int>(threadIdx.x); i < work.width; i += kRowThreads)
    squares += x[i] * x[i];
  const float mean = BlockSum(squares, sums) / static_cast<float>(work.width);
  if (threadIdx.x != 0) return;
  float peak = 0;
  for (int i = 0; i < work.dim_count; ++i) peak = fmaxf(peak, fabsf(x[work.dims[i]]));
  work.out[int64_t{blockIdx.x} * 2] = peak;
  work.out[int64_t{blockIdx.x} * 2 + 1] = mean;
}

template <typename Out>
void LaunchNorm(NormWork work, Out* out, Stream stream) {
  if (work.rows == 0) return;
  if (work.stride == 0) work.stride = int64_t{work.heads} * work.width;
  const auto blocks = static_cast<unsigned>(work.rows) * static_cast<unsigned>(work.heads);
  BINOCLE_LAUNCH(NormKernel<Out>, dim3(blocks), dim3(kRowThreads), 0, stream)
  (work, out);
}

template <typename Out>
void LaunchRope(const RopeWork& work, Out* out, Stream stream) {
  const int64_t pairs = int64_t{work.rows} * work.heads * (work.head_dim / 2);
  if (pairs == 0) return;
  BINOCLE_LAUNCH(RopeKernel<Out>, dim3(Blocks(pairs)), dim3(kRowThreads), 0, stream)(work, out);
}

template <typename Out>
void LaunchActivate(Activation activation, const float* x, int64_t count, Out* out, Stream stream) {
  if (count == 0) return;
  BINOCLE_LAUNCH(ActivateKernel<Out>, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)
  (activation, x, count, out);
}

template <typename Out>
void LaunchSilu(const SiluWork& work, Out* out, Stream stream) {
  const int64_t count = int64_t{work.rows} * work.width;
  if (count == 0) return;
  BINOCLE_LAUNCH(SiluMulKernel<Out>, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)(work, out);
}

template <typename Element>
void LaunchEmbedding(const EmbeddingWork& work, const Element* table, float* out, Stream stream) {
  const int64_t count = int64_t{work.rows} * work.width;
  if (count == 0) return;
  BINOCLE_LAUNCH(EmbeddingKernel<Element>, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)
  (work, table, out);
}

}  // namespace

void Norm(const NormWork& work, float* out, Stream stream) { LaunchNorm(work, out, stream); }
void Norm(const NormWork& work, Bf16* out, Stream stream) { LaunchNorm(work, out, stream); }
void Rope(const RopeWork& work, float* out, Stream stream) { LaunchRope(work, out, stream); }
void Rope(const RopeWork& work, Bf16* out, Stream stream) { LaunchRope(work, out, stream); }
void Activate(Activation activation, const float* x, int64_t count, float* out, Stream stream) {
  LaunchActivate(activation, x, count, out, stream);
}
void Activate(Activation activation, const float* x, int64_t count, Bf16* out, Stream stream) {
  LaunchActivate(activation, x, count, out, stream);
}
void SiluMul(const SiluWork& work, float* out, Stream stream) { LaunchSilu(work, out, stream); }
void SiluMul(const SiluWork& work, Bf16* out, Stream stream) { LaunchSilu(work, out, stream); }

void AddRows(const AddWork& work, float* x, Stream stream) {
  const int64_t count = int64_t{work.rows} * work.width;
  if (count == 0) return;
  BINOCLE_LAUNCH(AddRowsKernel, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)(work, x);
}

void EmbeddingRows(const EmbeddingWork& work, const float* table, float* out, Stream stream) {
  LaunchEmbedding(work, table, out, stream);
}
void EmbeddingRows(const EmbeddingWork& work, const Bf16* table, float* out, Stream stream) {
  LaunchEmbedding(work, table, out, stream);
}

void MixRows(const MixRowsWork& work, Stream stream) {
  const int64_t count = int64_t{work.rows} * work.width;
  if (count == 0) return;
  BINOCLE_LAUNCH(MixRowsKernel, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)(work);
}

void RoundRows(const RoundWork& work, Stream stream) {
  const int64_t count = int64_t{work.rows} * work.width;
  if (count == 0) return;
  BINOCLE_LAUNCH(RoundRowsKernel, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)(work);
}

void ResampleRows(const ResampleWork& work, Stream stream) {
  const int64_t count = int64_t{work.rows} * work.width;
  if (count == 0) return;
  BINOCLE_LAUNCH(ResampleRowsKernel, dim3(Blocks(count)), dim3(kRowThreads), 0, stream)(work);
}

void PeaksOfRows(const PeakWork& work, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(PeaksOfRowsKernel, dim3(static_cast<unsigned>(work.rows)), dim3(kRowThreads), 0,
                 stream)
  (work);
}

BINOCLE_COMMAND(kNormF32, Norm(work.work, work.out, c.stream));
BINOCLE_COMMAND(kNormBf16, Norm(work.work, work.out, c.stream));
BINOCLE_COMMAND(kRopeF32, Rope(work.work, work.out, c.stream));
BINOCLE_COMMAND(kRopeBf16, Rope(work.work, work.out, c.stream));
BINOCLE_COMMAND(kActivateF32, LaunchActivate(work.work.activation, work.work.x, work.work.count,
                                             work.out, c.stream));
BINOCLE_COMMAND(kActivateBf16, LaunchActivate(work.work.activation, work.work.x, work.work.count,
                                              work.out, c.stream));
BINOCLE_COMMAND(kSiluMulF32, SiluMul(work.work, work.out, c.stream));
BINOCLE_COMMAND(kSiluMulBf16, SiluMul(work.work, work.out, c.stream));
BINOCLE_COMMAND(kAddRows, AddRows(work.work, work.out, c.stream));
BINOCLE_COMMAND(kEmbeddingF32, EmbeddingRows(work.work, work.table, work.out, c.stream));
BINOCLE_COMMAND(kEmbeddingBf16, EmbeddingRows(work.work, work.table, work.out, c.stream));
BINOCLE_COMMAND(kMixRows, MixRows(work, c.stream));
BINOCLE_COMMAND(kRoundRows, RoundRows(work, c.stream));
BINOCLE_COMMAND(kResampleRows, ResampleRows(work, c.stream));
BINOCLE_COMMAND(kPeaksOfRows, PeaksOfRows(work, c.stream));

}  // namespace binocle::cuda
