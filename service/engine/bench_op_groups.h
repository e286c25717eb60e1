// Groups of ops that take turns, for BenchOps.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "binocle/bench_ops.h"
#include "core/tensor.h"
#include "service/engine/bench_rates.h"

namespace binocle {

// Weights, keys and values that take turns come to so much of each compute kind, of all ops of a group together to some four times that. More than a
// contender reads before others have their turn, so that it finds none of it in a cache.
inline constexpr int64_t kFromMemoryBytes = int64_t{192} << 20;

struct OpContender {
  WeightKind kind;        // whose arithmetic it is
  OpTiming op;            // what it is; all else is filled in by Time
  double operations = 0;  // of a call; 0: not counted
  double bytes = 0;       // read by a call
  std::function<void()> run;
};

class OpTimer {
 public:
  // Less than a gibibyte, beside the matrices; well above the caches that a processor may call its own.
  static constexpr int64_t kReadBytes = int64_t{768} << 20;

  OpTimer(Exec& ex, int64_t rounds) : rates_(ex, kReadBytes), rounds_(rounds) {}

  void Time(const std::vector<OpContender>& group);
  OpBench Result() &&;

 private:
  RateSeries rates_;
  int64_t rounds_;
  std::vector<OpTiming> timings_;
};

struct OpBenchPlan {
  Exec& ex;
  std::vector<int64_t> rows;
  std::vector<WeightKind> kinds;  // each once
  OpTimer& timer;

  int64_t most_rows() const;
  // What rows and pages are made as for these kinds: kInt4 takes the rows of kInt8, and there are pages of f32 and bf16.
  std::vector<WeightKind> row_kinds() const;
  std::vector<WeightKind> page_kinds() const;
};

// Numbers in [−0.5, 0.5) that differ.
Tensor OpNoise(Shape shape);

void BenchLinearOp(const OpBenchPlan& plan, const MatrixShape& shape);
void BenchSwiGluOp(const OpBenchPlan& plan);
void BenchLinearActivateOp(const OpBenchPlan& plan);
// Bytes of what the three take for a shape at most: all kinds' matrices, and rows.
int64_t ProductBenchBytes(const MatrixShape& shape, const std::vector<WeightKind>& kinds,
                          int64_t rows);
inline constexpr MatrixShape kSwiGluShape{.n = 2 * 5632, .k = 2048};  // TinyLlama's

void BenchAttentionOps(const OpBenchPlan& plan);
void BenchRowOps(const OpBenchPlan& plan);

}  // namespace binocle
