#include "core/ops/activation.h"

#include "core/ops/activation_cpu.h"

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
  const auto row = ActivationRow(activation);
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) row(x.row(t), x.dim(1));
  });
}

void SiluMul(Exec& ex, const TensorView& gate_up, const TensorView& out) {
  const OpScope clock(ex.op_clock(), OpKind::kActivation);
  BINOCLE_CHECK(gate_up.dim(0) == out.dim(0) && gate_up.dim(1) == 2 * out.dim(1),
                gate_up.shape().ToString(), " ", out.shape().ToString());
  ex.ParallelRanges(out.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      SiluMulRowCpu(gate_up.row(t), gate_up.row(t) + out.dim(1), out.row(t), out.dim(1));
  });
}

}  // namespace binocle
