// Where and how ops run. Passed to every op; there is no ambient device, stream or thread count.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/cpu_level.h"
#include "core/op_clock.h"
#include "core/tensor.h"
#include "core/thread_pool.h"

namespace binocle {

class Communicator;
class GemmPlans;  // compiled matrix products, keyed by shape (core/ops/linear_onednn.cc)

class Exec {
 public:
  // A CPU backend with `threads` threads, the caller's included. `level`: at most that of the processor.
  explicit Exec(int threads, CpuLevel level = BestCpuLevel());
  // The same, and a GPU: ops on its tensors run there.
  Exec(int threads, std::unique_ptr<CudaBackend> cuda);
  ~Exec();
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  // Where a model's tensors are made.
  Place place() const { return {cuda_.get()}; }
  // Of ops on a GPU's tensors.
  CudaBackend& cuda() const { return *cuda_; }
  // Until what was asked of the GPU has been done.
  void Wait();
  int threads() const { return pool_.threads(); }
  CpuLevel cpu_level() const { return level_; }
  // Those who compute the same model beside this process, and whom ops that sum over ranks talk to (core/ops/ranks.h); nullptr: nobody.
  void set_communicator(Communicator* communicator) { communicator_ = communicator; }
  Communicator* communicator() const { return communicator_; }
  // Counts the time of ops from here on; nullptr: nobody does.
  void set_op_clock(OpClock* clock) { op_clock_ = clock; }
  OpClock* op_clock() const { return op_clock_; }
  GemmPlans& gemm_plans() { return *gemm_plans_; }

  // body(i) for i in [0, tasks), in any order, on all threads.
  void Parallel(int64_t tasks, const std::function<void(int64_t)>& body) {
    pool_.Run(tasks, [&](int64_t i, int /*thread*/) { body(i); });
  }
  // body(i, scratch): `floats` numbers of undefined value that no other call uses meanwhile, aligned to 64 bytes. They are kept from loop
  // to loop, so only a larger loop than any before allocates.
  void ParallelWithScratch(int64_t tasks, int64_t floats,
                           const std::function<void(int64_t, float*)>& body);

  // At least `bytes` of undefined value, aligned to 64 bytes: what an op passes from one of its loops to the next. Until the next call. Only
  // more than ever before allocates.
  void* Workspace(int64_t bytes);

  // What Workspace and ParallelWithScratch have allocated.
  int64_t workspace_bytes() const;

  // body(begin, end) over disjoint ranges that cover [0, items), each of at least `grain` items where possible.
  void ParallelRanges(int64_t items, int64_t grain,
                      const std::function<void(int64_t, int64_t)>& body);

 private:
  ThreadPool pool_;
  CpuLevel level_;
  std::unique_ptr<CudaBackend> cuda_;
  OpClock* op_clock_ = nullptr;
  Communicator* communicator_ = nullptr;
  AlignedBuffer workspace_;
  std::vector<AlignedBuffer> scratch_;  // per thread
  std::unique_ptr<GemmPlans> gemm_plans_;
};

}  // namespace binocle
