#include "fusion/resample.h"

#include <algorithm>
#include <vector>

#include "core/ops/device_rows.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {

struct Pair {
  int64_t low, high;
  float fraction;  // weight of `high`
};

Pair Neighbours(int64_t i, int64_t in, int64_t out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float center = std::max(scale * (static_cast<float>(i) + 0.5F) - 0.5F, 0.0F);
  const auto low = std::min(static_cast<int64_t>(center), in - 1);
  return {
      .low = low, .high = std::min(low + 1, in - 1), .fraction = center - static_cast<float>(low)};
}

void ResampleOnDevice(Exec& ex, const TensorView& from, PatchGrid in, PatchGrid out,
                      const TensorView& to) {
  std::vector<cuda::ResampleTap> taps;
  for (int64_t y = 0; y < out.height; ++y) {
    const Pair py = Neighbours(y, in.height, out.height);
    for (int64_t x = 0; x < out.width; ++x) {
      const Pair px = Neighbours(x, in.width, out.width);
      const auto row = [&](int64_t of_y, int64_t of_x) { return Int32(of_y * in.width + of_x); };
      taps.push_back(
          {{row(py.low, px.low), row(py.low, px.high), row(py.high, px.low), row(py.high, px.high)},
           {px.fraction, py.fraction}});
    }
  }
  ex.cuda().Run(cuda::kResampleRows,
                {.x = DenseF32(from),
                 .taps = ex.cuda().Upload(std::span<const cuda::ResampleTap>(taps)),
                 .rows = Int32(to.dim(0)),
                 .width = Int32(to.dim(1)),
                 .out = DenseF32(to)});
}

}  // namespace

void ResampleBilinear(Exec& ex, const TensorView& from, PatchGrid in, PatchGrid out,
                      const TensorView& to) {
  const int64_t width = from.dim(1);
  BINOCLE_CHECK(from.dim(0) == in.patches() && to.dim(0) == out.patches() && to.dim(1) == width,
                from.shape().ToString(), " ", to.shape().ToString());
  if (to.on_cuda()) return ResampleOnDevice(ex, from, in, out, to);
  ex.ParallelRanges(out.height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const Pair py = Neighbours(y, in.height, out.height);
      for (int64_t x = 0; x < out.width; ++x) {
        const Pair px = Neighbours(x, in.width, out.width);
        const float* a = from.row(py.low * in.width + px.low);
        const float* b = from.row(py.low * in.width + px.high);
        const float* c = from.row(py.high * in.width + px.low);
        const float* d = from.row(py.high * in.width + px.high);
        float* o = to.row(y * out.width + x);
        for (int64_t i = 0; i < width; ++i) {
          const float top = a[i] * (1 - px.fraction) + b[i] * px.fraction;
          const float bottom = c[i] * (1 - px.fraction) + d[i] * px.fraction;
          o[i] = top * (1 - py.fraction) + bottom * py.fraction;
        }
      }
    }
  });
}

}  // namespace binocle
