#include "core/ops/norm.h"

#include "core/ops/norm_cpu.h"

namespace binocle {
namespace {

// Rows too short to be worth a thread of their own.
constexpr int64_t kRowGrain = 32;

void Check(const TensorView& x, const Tensor& weight, const TensorView& out) {
  BINOCLE_CHECK(x.rank() == 2 && out.shape() == x.shape() && weight.dim(0) == x.dim(1), "x ",
                x.shape().ToString(), " w ", weight.shape().ToString(), " out ",
                out.shape().ToString());
}

}  // namespace

void LayerNorm(Exec& ex, const TensorView& x, const LayerNormWeights& w, const TensorView& out) {
  const OpScope clock(ex.op_clock(), OpKind::kNorm);
  Check(x, w.weight, out);
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      LayerNormRowCpu({.x = x.row(t),
                       .weight = w.weight.f32(),
                       .bias = w.bias.f32(),
                       .out = out.row(t),
                       .width = x.dim(1),
                       .epsilon = w.epsilon});
    }
  });
}

void RmsNorm(Exec& ex, const TensorView& x, const RmsNormWeights& w, const TensorView& out) {
  const OpScope clock(ex.op_clock(), OpKind::kNorm);
  Check(x, w.weight, out);
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      RmsNormRowCpu({.x = x.row(t),
                     .weight = w.weight.f32(),
                     .bias = nullptr,
                     .out = out.row(t),
                     .width = x.dim(1),
                     .epsilon = w.epsilon});
    }
  });
}

void HeadRmsNorm(Exec& ex, const RmsNormWeights& w, const TensorView& x) {
  const OpScope clock(ex.op_clock(), OpKind::kNorm);
  const int64_t d = w.weight.dim(0);
  BINOCLE_CHECK(x.rank() == 2 && x.dim(1) % d == 0, "x ", x.shape().ToString(), " w [", d, "]");
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (float* head = x.row(t); head != x.row(t) + x.dim(1); head += d) {
        RmsNormRowCpu({.x = head,
                       .weight = w.weight.f32(),
                       .bias = nullptr,
                       .out = head,
                       .width = d,
                       .epsilon = w.epsilon});
      }
    }
  });
}

}  // namespace binocle
