// How fast the kernels are: matrix products and attention, as a share of nothing but themselves; compare runs on one machine.
//
//   make bench            build/release/bin/bench_ops --benchmark_filter=Linear
#include <benchmark/benchmark.h>

#include <cmath>
#include <numeric>

#include "attention/attention.h"
#include "core/ops/linear.h"

namespace binocle {
namespace {

constexpr int kThreads = 2;

Tensor Filled(Shape shape) {
  Tensor t = Tensor::F32(shape);
  for (int64_t i = 0; i < shape.elements(); ++i)
    t.f32()[i] = static_cast<float>((i * 7919) % 1000) / 1000.0F - 0.5F;
  return t;
}

// Arguments: rows, n, k. Reports floating-point operations per second; for one row also the bytes of weights per second.
void BM_Linear(benchmark::State& state) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2);
  Exec ex(kThreads);
  const Tensor weight = Filled({n, k}), x = Filled({rows, k});
  const LinearWeights w = PackLinear(ex, {{.weight = weight, .bias = {}}});
  Tensor y = Tensor::F32({rows, n});
  for (auto _ : state) Linear(ex, x, w, y);
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * static_cast<double>(rows * n * k),
                                                benchmark::Counter::kIsIterationInvariantRate,
                                                benchmark::Counter::kIs1000);
  state.SetBytesProcessed(state.iterations() * n * k * 4);
}
BENCHMARK(BM_Linear)
    ->Args({512, 2048, 2048})
    ->Args({512, 5632, 2048})
    ->Args({577, 4096, 1024})
    ->Args({144, 768, 192})
    ->Args({16, 2048, 2048})
    ->Args({1, 5632, 2048})
    ->Args({1, 32000, 2048})
    ->ArgNames({"rows", "n", "k"})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Arguments: rows, keys, heads, kv heads, head width. Causal rows at the end of the keys.
void BM_Attention(benchmark::State& state) {
  const int64_t rows = state.range(0), keys = state.range(1), heads = state.range(2),
                kv_heads = state.range(3), d = state.range(4);
  Exec ex(kThreads);
  KvPool pool(1, kv_heads, d, PagesFor(keys));
  KvSequence sequence(pool);
  sequence.Extend(keys);
  std::vector<int32_t> slots;
  for (int64_t p = 0; p < keys; ++p) slots.push_back(sequence.Slot(p));
  WriteKv(ex, Filled({keys, kv_heads * d}), Filled({keys, kv_heads * d}), slots, pool.layer(0));
  const Tensor q = Filled({rows, heads * d});
  Tensor out = Tensor::F32({rows, heads * d}), lse = Tensor::F32({rows, heads});
  const QueryRun run{.first_row = 0,
                     .rows = rows,
                     .first_position = keys - rows,
                     .keys = keys,
                     .pages = sequence.pages()};
  const AttentionArgs args{.q = q,
                           .kv = pool.layer(0),
                           .runs = {&run, 1},
                           .mask = Mask::kCausal,
                           .scale = 1 / std::sqrt(static_cast<float>(d))};
  for (auto _ : state) Attention(ex, args, out, lse);
  const double pairs =
      static_cast<double>(rows) * (static_cast<double>(keys) - static_cast<double>(rows - 1) / 2);
  state.counters["FLOP/s"] = benchmark::Counter(4.0 * pairs * static_cast<double>(heads * d),
                                                benchmark::Counter::kIsIterationInvariantRate,
                                                benchmark::Counter::kIs1000);
}
BENCHMARK(BM_Attention)
    ->Args({576, 576, 32, 32, 64})
    ->Args({2880, 2880, 32, 4, 64})
    ->Args({2880, 2880, 16, 16, 128})
    ->Args({64, 640, 32, 4, 64})
    ->Args({1, 640, 32, 4, 64})
    ->ArgNames({"rows", "keys", "heads", "kv", "d"})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace binocle

BENCHMARK_MAIN();
