#include "attention/attention_whole_cuda.h"

#include "core/backend/cuda/device.h"

namespace binocle::cuda {
namespace {

constexpr int kTakeThreads = 256;

// A block is a row of queries.
__global__ void __launch_bounds__(kTakeThreads)
    TakeWholeKernel(const BINOCLE_GRID_CONSTANT WholeWork work) {
  const AttentionShape& shape = work.tiles.shape;
  const int width = shape.heads * shape.head_dim;
  const int64_t row = blockIdx.x;
  const int64_t run = row / work.rows, within = row % work.rows;
  for (int h = static_cast<int>(threadIdx.x); h < shape.heads; h += kTakeThreads)
    work.tiles.result.lse[row * shape.heads + h] =
        work.lse[(run * shape.heads + h) * work.rows + within];
  for (int i = static_cast<int>(threadIdx.x); i < width; i += kTakeThreads)
    work.tiles.result.out[row * width + i] = Load(work.out + row * width + i);
}

// From the library's results into tiles.result.
void TakeWhole(const WholeWork& work, Stream stream) {
  const auto blocks = static_cast<unsigned>(work.runs) * static_cast<unsigned>(work.rows);
  BINOCLE_LAUNCH(TakeWholeKernel, dim3(blocks), dim3(kTakeThreads), 0, stream)(work);
}

}  // namespace

void AttendWhole(const WholeWork& work, WholeAttention* library, Stream stream) {
  if (library != nullptr && library->Attend(work, stream)) {
    TakeWhole(work, stream);
  } else {
    AttendTiles(work.tiles, stream);
  }
}

}  // namespace binocle::cuda
