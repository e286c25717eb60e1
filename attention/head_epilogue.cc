#include "attention/head_epilogue.h"

#include "attention/device_kv_cuda.h"
#include "core/ops/device_rows.h"

namespace binocle {

void GateHeads(Exec& ex, const TensorView& factor, const TensorView& z) {
  const int64_t heads = factor.dim(1);
  BINOCLE_CHECK(z.dim(0) == factor.dim(0) && z.dim(1) % heads == 0, z.shape().ToString());
  const int64_t d = z.dim(1) / heads;
  if (z.on_cuda()) {
    const cuda::AttentionShape shape{.heads = Int32(heads),
                                     .kv_heads = 0,
                                     .group = 1,
                                     .head_dim = Int32(d),
                                     .kv_row = 0,
                                     .scale = 1};
    return ex.cuda().Run(cuda::kGateHeads,
                         {{shape, Int32(z.dim(0)), DenseF32(factor)}, DenseF32(z)});
  }
  ex.ParallelRanges(z.dim(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const float f = factor.row(t)[h];
        float* out = z.row(t) + h * d;
        for (int64_t i = 0; i < d; ++i) out[i] *= f;
      }
    }
  });
}

void MixOwnValue(Exec& ex, const TensorView& factor, const TensorView& v, const TensorView& z) {
  const int64_t heads = factor.dim(1);
  BINOCLE_CHECK(z.dim(0) == factor.dim(0) && v.dim(0) == z.dim(0) && z.dim(1) % heads == 0 &&
                    z.dim(1) % v.dim(1) == 0,
                z.shape().ToString(), " ", v.shape().ToString());
  const int64_t d = z.dim(1) / heads;
  const int64_t group = z.dim(1) / v.dim(1);
  if (z.on_cuda()) {
    const cuda::AttentionShape shape{.heads = Int32(heads),
                                     .kv_heads = Int32(heads / group),
                                     .group = Int32(group),
                                     .head_dim = Int32(d),
                                     .kv_row = 0,
                                     .scale = 1};
    return ex.cuda().Run(
        cuda::kMixOwnValue,
        {{shape, Int32(z.dim(0)), DenseF32(factor), v.f32(), v.stride(0)}, DenseF32(z)});
  }
  ex.ParallelRanges(z.dim(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const float f = factor.row(t)[h];
        if (f == 0) continue;
        const float* own = v.row(t) + h / group * d;
        float* out = z.row(t) + h * d;
        for (int64_t i = 0; i < d; ++i) out[i] += f * own[i];
      }
    }
  });
}

}  // namespace binocle
