#include "core/exec.h"

#include <algorithm>

#include "core/ops/gemm_plans.h"

namespace binocle {

Exec::Exec(int threads) : pool_(threads), gemm_plans_(std::make_unique<GemmPlans>()) {}

Exec::~Exec() = default;

void Exec::ParallelRanges(int64_t items, int64_t grain,
                          const std::function<void(int64_t, int64_t)>& body) {
  if (items <= 0) return;
  const int64_t ranges = std::clamp<int64_t>(items / std::max<int64_t>(grain, 1), 1, threads());
  Parallel(ranges, [&](int64_t i) { body(items * i / ranges, items * (i + 1) / ranges); });
}

}  // namespace binocle
