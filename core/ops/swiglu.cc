#include "core/ops/swiglu.h"

#include "core/ops/activation.h"
#include "core/ops/linear_kernels.h"
#include "core/ops/product_rows.h"

namespace binocle {

bool SwiGluInPanels(WeightKind kind, int64_t n) {
  return kind != WeightKind::kF32 && n % (2 * kPanelWidth) == 0;
}

void SwiGlu(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& gate_up,
            const TensorView& y) {
  if (SwiGluInPanels(w.compact.kind, w.n)) {
    BINOCLE_CHECK(x.dim(1) == w.k && 2 * y.dim(1) == w.n && x.dim(0) == y.dim(0) &&
                      (x.dtype() == DType::kF32 || x.dtype() == RoundedType(w.compact.kind)),
                  "x ", DTypeName(x.dtype()), " ", x.shape().ToString(), " W [", w.n, ", ", w.k,
                  "] y ", y.shape().ToString());
    const OpScope clock(ex.op_clock(), OpKind::kLinear);
    return SwiGluCompact(ex, x, w, y);
  }
  Linear(ex, x, w, gate_up);
  SiluMul(ex, gate_up, y);
}

}  // namespace binocle
