#include "core/ops/activation.h"

#include "core/ops/activation_cpu.h"
#include "core/ops/device_rows.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {
constexpr int64_t kRowGrain = 8;
}  // namespace

void (*ActivationRow(Activation activation))(float* x, int64_t width) {
  switch (activation) {
    case Activation::kGelu: return GeluRowCpu;
    case Activation::kGeluTanh: return GeluTanhRowCpu;
    case Activation::kQuickGelu: return QuickGeluRowCpu;
  }
  return nullptr;
}

void Activate(Exec& ex, Activation activation, const TensorView& x) {
  const OpScope clock(ex.op_clock(), OpKind::kActivation);
  BINOCLE_CHECK(x.rank() == 2 && x.stride(1) == 1, x.name());
  if (x.on_cuda())
    return ex.cuda().Run(cuda::kActivateF32, {{activation, DenseF32(x), x.elements()}, x.f32()});
  const auto row = ActivationRow(activation);
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(x.row(t), x.dim(1));
  });
}

void SiluMul(Exec& ex, const TensorView& gate_up, const TensorView& out) {
  const OpScope clock(ex.op_clock(), OpKind::kActivation);
  BINOCLE_CHECK(gate_up.dim(0) == out.dim(0) && gate_up.dim(1) == 2 * out.dim(1),
                gate_up.shape().ToString(), " ", out.shape().ToString());
  if (out.on_cuda()) {
    return RunInto(ex.cuda(), cuda::kSiluMulF32, cuda::kSiluMulBf16,
                   {DenseF32(gate_up), Int32(out.dim(0)), Int32(out.dim(1))}, out);
  }
  ex.ParallelRanges(out.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      SiluMulRowCpu(gate_up.row(t), gate_up.row(t) + out.dim(1), out.row(t), out.dim(1));
  });
}

}  // namespace binocle
