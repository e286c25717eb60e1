// How fast the kernels are: matrix products and attention, as a share of nothing but themselves; compare runs on one machine.
//
//   make bench            build/release/bin/bench_ops --benchmark_filter=Linear
#include <benchmark/benchmark.h>

#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "core/ops/linear.h"
#include "core/weights.h"

namespace binocle {
namespace {

constexpr int kThreads = 2;

Tensor Filled(Shape shape) {
  Tensor t = Tensor::F32(shape);
  for (int64_t i = 0; i < shape.elements(); ++i)
    t.f32()[i] = static_cast<float>((i * 7919) % 1000) / 1000.0F - 0.5F;
  return t;
}

// The level below the processor's best by so many; state.SkipWithError where there is none.
std::optional<CpuLevel> LevelBelowBest(benchmark::State& state, int64_t below) {
  const int64_t level = static_cast<int64_t>(BestCpuLevel()) - below;
  if (level >= 0) return static_cast<CpuLevel>(level);
  state.SkipWithError("no such level");
  return std::nullopt;
}

// Arguments: rows, n, k, the weights' kind (f32, bf16, int8, int4), levels below the best. Reports operations and bytes of weights per second. The
// weights are several matrices, so that they come from memory as a model's do.
void BM_Linear(benchmark::State& state) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2);
  const auto level = LevelBelowBest(state, state.range(4));
  if (!level) return;
  const auto kind = static_cast<WeightKind>(state.range(3));
  Exec ex(kThreads, *level);
  const Tensor weight = Filled({n, k}), x = Filled({rows, k});
  std::vector<LinearWeights> weights;
  while (std::ssize(weights) * n * k < int64_t{200} << 20)
    weights.push_back(PackLinear(ex, {{.weight = weight, .bias = {}}}, kind));
  Tensor y = Tensor::F32({rows, n});
  size_t next = 0;
  for (auto _ : state) Linear(ex, x, weights[next++ % weights.size()], y);
  state.SetLabel(std::string(WeightKindName(kind)) + " " + std::string(CpuLevelName(*level)));
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * static_cast<double>(rows * n * k),
                                                benchmark::Counter::kIsIterationInvariantRate,
                                                benchmark::Counter::kIs1000);
  state.SetBytesProcessed(state.iterations() * PackedBytes(n, k, Bias::kAbsent, kind));
}
void LinearShapes(benchmark::internal::Benchmark* bench) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{512, 2048, 2048},
                                            {512, 5632, 2048},
                                            {577, 4096, 1024},
                                            {16, 2048, 2048},
                                            {1, 5632, 2048}}) {
    for (const int64_t kind : {0, 1, 2, 3}) {
      for (const int64_t below : {0, 1, 2, 3})
        if (kind > 0 || below == 0) bench->Args({shape[0], shape[1], shape[2], kind, below});
    }
  }
}
BENCHMARK(BM_Linear)
    ->Apply(LinearShapes)
    ->ArgNames({"rows", "n", "k", "kind", "below"})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Arguments: rows, keys, heads, kv heads, head width, bits of pages, levels below the best. Causal rows at the end of the keys.
void BM_Attention(benchmark::State& state) {
  const int64_t rows = state.range(0), keys = state.range(1), heads = state.range(2),
                kv_heads = state.range(3), d = state.range(4);
  const auto level = LevelBelowBest(state, state.range(6));
  if (!level) return;
  Exec ex(kThreads, *level);
  KvPool pool(1, kv_heads, d, PagesFor(keys), state.range(5) == 32 ? DType::kF32 : DType::kBF16);
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
  state.SetLabel(std::string(CpuLevelName(*level)));
}
void AttentionShapes(benchmark::internal::Benchmark* bench) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{576, 576, 32, 32, 64},
                                            {512, 512, 32, 4, 64},
                                            {2880, 2880, 32, 4, 64},
                                            {2880, 2880, 16, 16, 128},
                                            {64, 640, 32, 4, 64},
                                            {1, 640, 32, 4, 64}}) {
    std::vector<int64_t> args = shape;
    args.insert(args.end(), {32, 0});
    bench->Args(args);
    for (const int64_t below : {0, 1, 2}) {
      args[5] = 16;
      args[6] = below;
      bench->Args(args);
    }
  }
}
BENCHMARK(BM_Attention)
    ->Apply(AttentionShapes)
    ->ArgNames({"rows", "keys", "heads", "kv", "d", "bits", "below"})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace binocle

BENCHMARK_MAIN();
