#include "core/ops/linear_activate.h"

#include "core/ops/activation_cpu.h"
#include "core/ops/linear_kernels.h"

namespace binocle {

void LinearActivate(Exec& ex, const TensorView& x, const LinearWeights& w, Activation f,
                    const TensorView& y) {
  if (w.compact.empty()) {
    Linear(ex, x, w, y);
    return Activate(ex, f, y);
  }
  const OpScope clock(ex.op_clock(), OpKind::kLinear);
  CheckOperands(x, w, y);
  LinearCompactThen(ex, x, w, ActivationRow(f), y);
}

}  // namespace binocle
