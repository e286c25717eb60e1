#include "core/ops/elementwise.h"

#include <algorithm>
#include <cstring>

#include "core/convert.h"

namespace binocle {
namespace {
// These loops are bound by memory: the compiler's baseline vectors are enough.
constexpr int64_t kRowGrain = 64;
}  // namespace

void AddRows(Exec& ex, const TensorView& x, const TensorView& y) {
  BINOCLE_CHECK(y.dim(0) > 0 && x.dim(0) % y.dim(0) == 0 && x.dim(1) == y.dim(1),
                x.shape().ToString(), " ", y.shape().ToString());
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* to = x.row(t);
      const float* from = y.row(t % y.dim(0));
      for (int64_t i = 0; i < x.dim(1); ++i) to[i] += from[i];
    }
  });
}

void AddScaledRows(Exec& ex, const TensorView& x, const TensorView& gamma, const TensorView& y) {
  BINOCLE_CHECK(x.shape() == y.shape() && gamma.dim(0) == x.dim(1), x.shape().ToString(), " ",
                gamma.shape().ToString());
  const float* scale = gamma.f32();
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* to = x.row(t);
      const float* from = y.row(t);
      for (int64_t i = 0; i < x.dim(1); ++i) to[i] += scale[i] * from[i];
    }
  });
}

void ScaleRows(Exec& ex, const TensorView& x, float factor) {
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* row = x.row(t);
      for (int64_t i = 0; i < x.dim(1); ++i) row[i] *= factor;
    }
  });
}

void EmbeddingRows(const TensorView& table, std::span<const int32_t> ids, const TensorView& out) {
  const int64_t width = table.dim(1);
  BINOCLE_CHECK(out.dim(0) == static_cast<int64_t>(ids.size()) && out.dim(1) == width,
                out.shape().ToString());
  for (size_t t = 0; t < ids.size(); ++t) {
    BINOCLE_CHECK(ids[t] >= 0 && ids[t] < table.dim(0), "id ", ids[t], " in a table of ",
                  table.dim(0));
    ReadAsF32(table, ids[t] * width, width, out.row(static_cast<int64_t>(t)));
  }
}

void CopyRows(const TensorView& from, const TensorView& to) {
  BINOCLE_CHECK(from.shape() == to.shape(), from.shape().ToString(), " ", to.shape().ToString());
  for (int64_t t = 0; t < from.dim(0); ++t)
    std::memcpy(to.row(t), from.row(t), static_cast<size_t>(from.dim(1)) * 4);
}

}  // namespace binocle
