#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <tuple>

#include "core/ops/gemm_plans.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace binocle {
namespace {

using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t,
                       Accumulate>;  // rows, depth, columns, lda, ldc

struct Plan {
  dnnl::matmul primitive;
  dnnl::memory::desc a, b, c, scratchpad;
};

// oneDNN's own threads would fight with ours: every call here runs on the calling thread, whose OpenMP setting is the host program's
// and comes back.
class CallingThreadOnly {
#if defined(_OPENMP)
 public:
  CallingThreadOnly() : threads_(omp_get_max_threads()) {
    if (threads_ != 1) omp_set_num_threads(1);
  }
  ~CallingThreadOnly() {
    if (threads_ != 1) omp_set_num_threads(threads_);
  }
  CallingThreadOnly(const CallingThreadOnly&) = delete;
  CallingThreadOnly& operator=(const CallingThreadOnly&) = delete;

 private:
  int threads_;
#else
 public:
  CallingThreadOnly() {}
#endif
};

// The one call that oneDNN 3 spells differently.
dnnl::matmul::primitive_desc Describe(const dnnl::engine& engine, const Plan& plan,
                                      const dnnl::primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, plan.a, plan.b, plan.c, attr};
#else
  return {dnnl::matmul::desc(plan.a, plan.b, plan.c), attr, engine};
#endif
}

}  // namespace

struct GemmPlans::Impl {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::mutex mutex;
  std::map<Key, std::optional<Plan>> plans;  // nullopt: no suitable kernel

  std::optional<Plan> Make(const LinearBlock& block) const {
    using dnnl::memory;
    Plan plan;
    plan.a =
        memory::desc({block.rows, block.depth}, memory::data_type::f32, memory::dims{block.lda, 1});
    plan.b = memory::desc({block.depth, block.columns}, memory::data_type::f32,
                          memory::format_tag::BA16a64b);
    plan.c = memory::desc({block.rows, block.columns}, memory::data_type::f32,
                          memory::dims{block.ldc, 1});
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (block.accumulate == Accumulate::kAdd) {
      dnnl::post_ops ops;
      ops.append_sum(1.0F);
      attr.set_post_ops(ops);
    }
    try {
      const dnnl::matmul::primitive_desc desc = Describe(engine, plan, attr);
      // Its blocked kernels keep one chain of additions per element up to 512 k (linear_test.cc checks it); others need not.
      // They are called brg: in oneDNN 2.6 to 3.2 and brg_matmul: in 3.13.
      if (!std::string_view(desc.impl_info_str()).starts_with("brg")) return std::nullopt;
      plan.primitive = dnnl::matmul(desc);
      plan.scratchpad = desc.scratchpad_desc();
      return plan;
    } catch (const dnnl::error&) {
      return std::nullopt;
    }
  }

  const Plan* Find(const LinearBlock& block) {
    const Key key{block.rows, block.depth, block.columns, block.lda, block.ldc, block.accumulate};
    const std::lock_guard lock(mutex);
    auto it = plans.find(key);
    if (it == plans.end()) it = plans.emplace(key, Make(block)).first;
    return it->second ? &*it->second : nullptr;
  }
};

GemmPlans::GemmPlans() : impl_(std::make_unique<Impl>()) {}
GemmPlans::~GemmPlans() = default;

bool GemmPlans::Run(const LinearBlock& block) {
  const CallingThreadOnly alone;
  const Plan* plan = impl_->Find(block);
  if (plan == nullptr) return false;
  alignas(64) char scratch[kPlanScratchBytes];
  if (plan->scratchpad.get_size() > sizeof scratch) return false;
  const auto memory = [&](const dnnl::memory::desc& desc, const void* data) {
    return dnnl::memory(desc, impl_->engine, const_cast<void*>(data));
  };
  dnnl::stream stream(impl_->engine);
  plan->primitive.execute(stream, {{DNNL_ARG_SRC, memory(plan->a, block.a)},
                                   {DNNL_ARG_WEIGHTS, memory(plan->b, block.b)},
                                   {DNNL_ARG_DST, memory(plan->c, block.c)},
                                   {DNNL_ARG_SCRATCHPAD, memory(plan->scratchpad, scratch)}});
  stream.wait();
  return true;
}

}  // namespace binocle
