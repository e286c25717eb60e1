#include "attention/head_epilogue.h"

namespace binocle {

void GateHeads(Exec& ex, const TensorView& factor, const TensorView& z) {
  const int64_t heads = factor.dim(1);
  BINOCLE_CHECK(z.dim(0) == factor.dim(0) && z.dim(1) % heads == 0, z.shape().ToString());
  const int64_t d = z.dim(1) / heads;
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
