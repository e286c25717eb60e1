#include "core/ops/norm.h"

#include <algorithm>

#include "core/ops/device_rows.h"
#include "core/ops/norm_cpu.h"
#include "core/ops/product_rows.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {

// Rows too short to be worth a thread of their own.
constexpr int64_t kRowGrain = 32;

void Check(const TensorView& x, const Tensor& weight, const TensorView& out) {
  BINOCLE_CHECK(x.rank() == 2 && out.shape() == x.shape() && weight.dim(0) == x.dim(1), "x ",
                x.shape().ToString(), " w ", weight.shape().ToString(), " out ",
                out.shape().ToString());
}

cuda::NormWork DeviceNorm(const TensorView& x, const Tensor& weight, const float* bias,
                          float epsilon) {
  return {.x = DenseF32(x),
          .weight = weight.f32(),
          .bias = bias,
          .epsilon = epsilon,
          .rows = Int32(x.dim(0)),
          .width = Int32(x.dim(1))};
}

// make(row, to) for each row, `to` being where f32 go.
template <typename Make>
void ForRows(Exec& ex, const TensorView& out, const Make& make) {
  const int64_t rows = out.dim(0), width = out.dim(1);
  if (out.dtype() == DType::kF32) {
    ex.ParallelRanges(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) make(t, out.row(t));
    });
    return;
  }
  ex.ParallelWithScratch((rows + kRowGrain - 1) / kRowGrain, width, [&](int64_t task, float* wide) {
    const int64_t end = std::min(rows, (task + 1) * kRowGrain);
    for (int64_t t = task * kRowGrain; t < end; ++t) {
      make(t, wide);
      RoundIntoRow(wide, width, out, t, 0);
    }
  });
}

}  // namespace

void LayerNorm(Exec& ex, const TensorView& x, const LayerNormWeights& w, const TensorView& out) {
  const OpScope clock(ex.op_clock(), OpKind::kNorm);
  Check(x, w.weight, out);
  if (x.on_cuda()) {
    return RunInto(ex.cuda(), cuda::kNormF32, cuda::kNormBf16,
                   DeviceNorm(x, w.weight, w.bias.f32(), w.epsilon), out);
  }
  ForRows(ex, out, [&](int64_t t, float* to) {
    LayerNormRowCpu({.x = x.row(t),
                     .weight = w.weight.f32(),
                     .bias = w.bias.f32(),
                     .out = to,
                     .width = x.dim(1),
                     .epsilon = w.epsilon});
  });
}

void RmsNorm(Exec& ex, const TensorView& x, const RmsNormWeights& w, const TensorView& out) {
  const OpScope clock(ex.op_clock(), OpKind::kNorm);
  Check(x, w.weight, out);
  if (x.on_cuda()) {
    return RunInto(ex.cuda(), cuda::kNormF32, cuda::kNormBf16,
                   DeviceNorm(x, w.weight, nullptr, w.epsilon), out);
  }
  ForRows(ex, out, [&](int64_t t, float* to) {
    RmsNormRowCpu({.x = x.row(t),
                   .weight = w.weight.f32(),
                   .bias = nullptr,
                   .out = to,
                   .width = x.dim(1),
                   .epsilon = w.epsilon});
  });
}

void HeadRmsNorm(Exec& ex, const RmsNormWeights& w, const TensorView& x) {
  const OpScope clock(ex.op_clock(), OpKind::kNorm);
  const int64_t d = w.weight.dim(0);
  BINOCLE_CHECK(x.rank() == 2 && x.dim(1) % d == 0, "x ", x.shape().ToString(), " w [", d, "]");
  if (x.on_cuda()) {
    const cuda::NormWork work{.x = x.f32(),
                              .weight = w.weight.f32(),
                              .bias = nullptr,
                              .epsilon = w.epsilon,
                              .rows = Int32(x.dim(0)),
                              .width = Int32(d),
                              .heads = Int32(x.dim(1) / d),
                              .stride = x.stride(0)};
    return ex.cuda().Run(cuda::kNormF32, {work, x.f32()});
  }
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
