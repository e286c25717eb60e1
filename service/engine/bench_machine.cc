#include "binocle/bench_machine.h"

#include <string>

#include "core/machine.h"
#include "core/vector_rate.h"
#include "service/engine/bench_rates.h"
#include "service/engine/bench_rounds.h"

namespace binocle {

void RateSeries::Measure() {
  read_.push_back(reader_.Measure());
  f32_.push_back(MeasureF32Rate(ex_));
  bf16_.push_back(MeasureBf16Rate(ex_));
  int8_.push_back(MeasureInt8Rate(ex_));
}

double RateSeries::arithmetic(WeightKind kind, size_t round) const {
  if (kind == WeightKind::kF32) return f32_[round];
  return kind == WeightKind::kBf16 ? bf16_[round] : int8_[round];
}

MachineBench RateSeries::Result() const {
  return {.cpu_level = std::string(CpuLevelName(ex_.cpu_level())),
          .threads = ex_.threads(),
          .read_rate = SpreadOf(read_),
          .f32_rate = SpreadOf(f32_),
          .bf16_rate = SpreadOf(bf16_),
          .int8_rate = SpreadOf(int8_)};
}

int ThreadsFor(int64_t threads) {
  return threads > 0 ? static_cast<int>(threads) : LimitsOfThisProcess().processors;
}

MachineBench BenchMachine(const MachineBenchOptions& options) {
  constexpr int64_t kReadBytes = int64_t{1} << 30;
  CheckOption("threads", options.threads, 0, 1024);
  CheckOption("rounds", options.rounds, 1, 1000);
  Exec ex(ThreadsFor(options.threads));
  RateSeries rates(ex, kReadBytes);
  for (int64_t round = 0; round < options.rounds; ++round) rates.Measure();
  MachineBench out = rates.Result();
  out.rounds = options.rounds;
  return out;
}

}  // namespace binocle
