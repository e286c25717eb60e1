// Builds without oneDNN: our own kernel computes every product.
#include "core/ops/gemm_plans.h"

namespace binocle {

struct GemmPlans::Impl {};

GemmPlans::GemmPlans() = default;
GemmPlans::~GemmPlans() = default;

bool GemmPlans::Run(const LinearBlock&) { return false; }

}  // namespace binocle
