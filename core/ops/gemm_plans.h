// Large matrix products through oneDNN: plans compiled per shape and kept. This header and its source are the only place that
// knows oneDNN, so that its interface (v2 in Debian 12, v3 later) stays in one file.
#pragma once

#include <memory>

#include "core/ops/linear_kernels.h"

namespace binocle {

// What Run takes of the stack for oneDNN. Our tiles take 640 bytes in 2.6 to 3.2 and up to 67,072 in 3.13.
inline constexpr int64_t kPlanScratchBytes = 80 << 10;

class GemmPlans {
 public:
  GemmPlans();
  ~GemmPlans();
  GemmPlans(const GemmPlans&) = delete;
  GemmPlans& operator=(const GemmPlans&) = delete;

  // Runs the block on the calling thread and returns true, or returns false where oneDNN is absent or would not keep Linear's
  // order of summation (it has no blocked kernel for this processor). Safe to call from several threads.
  bool Run(const LinearBlock& block);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace binocle
