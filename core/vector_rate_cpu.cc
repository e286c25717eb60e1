#include <chrono>
#include <vector>

#include "core/vector_rate.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/vector_rate_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Ten chains hide the latency of the units (4 cycles, two units) and fit 16 registers. Returns the operations done; `seed` keeps the
// compiler from knowing the values and *sink from dropping them.
double MultiplyAdds(int64_t iterations, float seed, float* sink) {
  constexpr int kChains = 10;
  const hn::ScalableTag<float> d;
  const auto a = hn::Set(d, seed), b = hn::Set(d, 1 - seed);
  hn::Vec<decltype(d)> x[kChains];
  float start = seed;  // each chain another value: equal ones would be computed once
#pragma GCC unroll 10
  for (auto& chain : x) chain = hn::Set(d, start += seed);
  for (int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 10
    for (auto& chain : x) chain = hn::MulAdd(chain, a, b);
  }
  auto sum = hn::Zero(d);
#pragma GCC unroll 10
  for (const auto& chain : x) sum = hn::Add(sum, chain);
  *sink = hn::GetLane(hn::SumOfLanes(d, sum));
  return 2.0 * kChains * static_cast<double>(hn::Lanes(d)) * static_cast<double>(iterations);
}

const char* Name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(MultiplyAdds);
HWY_EXPORT(Name);
}  // namespace

const char* SimdName() { return HWY_DYNAMIC_DISPATCH(Name)(); }

double MeasureF32Rate(Exec& ex) {
  constexpr int64_t kIterations = 2'000'000;  // about 6 ms at 3.6 GHz
  struct alignas(64) Work {
    double operations = 0;
    float sink = 0;
  };
  std::vector<Work> work(static_cast<size_t>(ex.threads()));
  const auto start = std::chrono::steady_clock::now();
  ex.Parallel(ex.threads(), [&](int64_t i) {
    Work& w = work[static_cast<size_t>(i)];
    w.operations = HWY_DYNAMIC_DISPATCH(MultiplyAdds)(kIterations, 0.5F, &w.sink);
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  double operations = 0;
  for (const Work& w : work) operations += w.operations;
  return operations / seconds.count();
}

}  // namespace binocle
#endif  // HWY_ONCE
