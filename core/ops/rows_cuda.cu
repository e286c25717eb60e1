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
  const float* x = work.x + int64_t{blockIdx.x} * width;
  out += int64_t{blockIdx.x} * width;
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
  out[i] = Load(table + int64_t{work.ids[i / work.width]} * work.width + i % work.width);
}

template <typename Out>
void LaunchNorm(const NormWork& work, Out* out, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(NormKernel<Out>, dim3(static_cast<unsigned>(work.rows)), dim3(kRowThreads), 0,
                 stream)
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

}  // namespace binocle::cuda
