#include "core/ops/linear_activate.h"

#include "core/ops/activation_cpu.h"
#include "core/ops/device_rows.h"
#include "core/ops/linear_kernels.h"
#include "core/ops/rows_cuda.h"

namespace binocle {

void LinearActivate(Exec& ex, const TensorView& x, const LinearWeights& w, Activation f,
                    const TensorView& y) {
  if (!w.device.empty()) {
    CudaBackend& cuda = ex.cuda();
    auto* hidden = cuda.Get<float>(CudaBackend::Scratch::kHidden, y.elements());
    const TensorView product(hidden, DType::kF32, y.shape(), "product", Device::kCuda);
    Linear(ex, x, w, product);
    return RunInto(cuda, cuda::kActivateF32, cuda::kActivateBf16, {f, hidden, y.elements()}, y);
  }
  if (w.compact.empty()) {
    Linear(ex, x, w, y);
    return Activate(ex, f, y);
  }
  const OpScope clock(ex.op_clock(), OpKind::kLinear);
  CheckOperands(x, w, y);
  LinearCompactThen(ex, x, w, ActivationRow(f), y);
}

}  // namespace binocle
