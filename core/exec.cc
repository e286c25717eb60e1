#include "core/exec.h"

#include <algorithm>
#include <utility>

#include "core/backend/cuda_backend.h"
#include "core/ops/gemm_plans.h"

namespace binocle {

Exec::Exec(int threads, CpuLevel level)
    : pool_(threads),
      level_(std::min(level, BestCpuLevel())),
      scratch_(static_cast<size_t>(threads)),
      gemm_plans_(std::make_unique<GemmPlans>()) {}

Exec::Exec(int threads, std::unique_ptr<CudaBackend> cuda) : Exec(threads) {
  cuda_ = std::move(cuda);
}

Exec::~Exec() = default;

void Exec::Wait() {
  if (cuda_) cuda_->Wait();
}

void Exec::ParallelWithScratch(int64_t tasks, int64_t floats,
                               const std::function<void(int64_t, float*)>& body) {
  const int64_t bytes = floats * static_cast<int64_t>(sizeof(float));
  for (AlignedBuffer& buffer : scratch_) {
    if (buffer.size() < bytes) buffer = AlignedBuffer(bytes);
  }
  pool_.Run(tasks, [&](int64_t i, int thread) {
    body(i, static_cast<float*>(scratch_[static_cast<size_t>(thread)].data()));
  });
}

void* Exec::Workspace(int64_t bytes) {
  if (workspace_.size() < bytes) workspace_ = AlignedBuffer(bytes);
  return workspace_.data();
}

int64_t Exec::workspace_bytes() const {
  int64_t bytes = workspace_.size();
  for (const AlignedBuffer& buffer : scratch_) bytes += buffer.size();
  return bytes;
}

void Exec::ParallelRanges(int64_t items, int64_t grain,
                          const std::function<void(int64_t, int64_t)>& body) {
  if (items <= 0) return;
  const int64_t ranges = std::clamp<int64_t>(items / std::max<int64_t>(grain, 1), 1, threads());
  Parallel(ranges, [&](int64_t i) { body(items * i / ranges, items * (i + 1) / ranges); });
}

}  // namespace binocle
