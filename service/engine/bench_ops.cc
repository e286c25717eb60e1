#include "binocle/bench_ops.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "attention/kv_pages.h"
#include "core/machine.h"
#include "core/ops/linear.h"
#include "service/engine/bench_op_groups.h"
#include "service/engine/bench_rounds.h"

namespace binocle {
namespace {

constexpr int64_t kMostOpRows = 8192;
constexpr int64_t kMostFeatures = 262144;
// A run of a contender is repeated up to this: at 20 GB/s about kFromMemoryBytes, so that it goes over its matrices once.
constexpr double kLeastOpSeconds = 0.01;

std::vector<WeightKind> KindsOf(const std::vector<std::string>& names) {
  std::vector<WeightKind> kinds;
  for (const std::string& name : names) {
    constexpr WeightKind kAll[] = {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8,
                                   WeightKind::kInt4};
    const auto* kind = std::find_if(std::begin(kAll), std::end(kAll), [&](WeightKind candidate) {
      return WeightKindName(candidate) == name;
    });
    if (kind == std::end(kAll))
      ThrowOption("compute", "is ", Printable(name), ", expected f32, bf16, int8 or int4");
    if (std::find(kinds.begin(), kinds.end(), *kind) == kinds.end()) kinds.push_back(*kind);
  }
  if (kinds.empty()) ThrowOption("compute", "is empty, expected at least one kind");
  return kinds;
}

void CheckShape(const MatrixShape& s) {
  const bool fits = s.n >= 1 && s.n <= kMostFeatures && s.k >= 1 && s.k <= kMaxCompactDepth;
  if (fits) return;
  ThrowOption("shape", "is ", s.n, "x", s.k, ", expected NxK with N from 1 to ", kMostFeatures,
              " and K from 1 to ", kMaxCompactDepth);
}

void CheckOpBench(const OpBenchOptions& o) {
  for (const int64_t rows : o.rows) CheckOption("rows", rows, 1, kMostOpRows);
  if (o.rows.empty()) ThrowOption("rows", "is empty, expected at least one number");
  for (const MatrixShape& shape : o.shapes) CheckShape(shape);
  if (o.shapes.empty()) ThrowOption("shape", "is empty, expected at least one NxK");
  CheckOption("threads", o.threads, 0, 1024);
  CheckOption("rounds", o.rounds, 1, 1000);
}

// What takes most is asked about before any of it is allocated.
void CheckOpMemory(const OpBenchOptions& o, const std::vector<WeightKind>& kinds) {
  const int64_t rows = *std::max_element(o.rows.begin(), o.rows.end());
  int64_t most = ProductBenchBytes(kSwiGluShape, kinds, rows);
  for (const MatrixShape& shape : o.shapes)
    most = std::max(most, ProductBenchBytes(shape, kinds, rows));
  const int64_t bytes = OpTimer::kReadBytes + most, memory = LimitsOfThisProcess().memory;
  if (bytes > memory)
    Throw(Code::kResourceExhausted, "bench: the matrices and rows take ", bytes,
          " bytes, this machine has ", memory);
}

void AddKindOnce(WeightKind kind, std::vector<WeightKind>& kinds) {
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
}

}  // namespace

int64_t OpBenchPlan::most_rows() const { return *std::max_element(rows.begin(), rows.end()); }

std::vector<WeightKind> OpBenchPlan::row_kinds() const {
  std::vector<WeightKind> out;
  for (const WeightKind kind : kinds)
    AddKindOnce(kind == WeightKind::kInt4 ? WeightKind::kInt8 : kind, out);
  return out;
}

std::vector<WeightKind> OpBenchPlan::page_kinds() const {
  std::vector<WeightKind> out;
  for (const WeightKind kind : kinds)
    AddKindOnce(kind == WeightKind::kF32 ? kind : WeightKind::kBf16, out);
  return out;
}

Tensor OpNoise(Shape shape) {
  Tensor t = Tensor::F32(shape);
  for (int64_t i = 0; i < shape.elements(); ++i)
    t.f32()[i] = static_cast<float>(i * 7919 % 1000) / 1000 - 0.5F;
  return t;
}

void OpTimer::Time(const std::vector<OpContender>& group) {
  std::vector<Contender> contenders;
  for (const OpContender& c : group) contenders.push_back({c.op.op, c.run});
  const size_t first = rates_.rounds();
  const auto seconds = TimeInTurn(contenders, rounds_, kLeastOpSeconds, [&] { rates_.Measure(); });
  for (size_t i = 0; i < group.size(); ++i) {
    const OpContender& c = group[i];
    std::vector<double> operations, arithmetic, bytes, read;
    for (size_t round = 0; round < seconds[i].size(); ++round) {
      const double rate = rates_.arithmetic(c.kind, first + round);
      operations.push_back(c.operations / seconds[i][round]);
      arithmetic.push_back(rate > 0 ? operations.back() / rate : 0);
      bytes.push_back(c.bytes / seconds[i][round]);
      read.push_back(bytes.back() / rates_.read(first + round));
    }
    OpTiming timing = c.op;
    timing.compute = WeightKindName(c.kind);
    timing.milliseconds = Scaled(SpreadOf(seconds[i]), 1000);
    timing.operations_per_second = SpreadOf(std::move(operations));
    timing.arithmetic_share = SpreadOf(std::move(arithmetic));
    timing.bytes_per_second = SpreadOf(std::move(bytes));
    timing.read_share = SpreadOf(std::move(read));
    timings_.push_back(std::move(timing));
  }
}

OpBench OpTimer::Result() && {
  OpBench out{.machine = rates_.Result(), .ops = std::move(timings_)};
  out.machine.rounds = rounds_;
  return out;
}

OpBench BenchOps(const OpBenchOptions& options) {
  CheckOpBench(options);
  const std::vector<WeightKind> kinds = KindsOf(options.compute);
  CheckOpMemory(options, kinds);
  const auto step = [&](const std::string& what) {
    if (options.on_step) options.on_step(what);
  };
  Exec ex(ThreadsFor(options.threads));
  OpTimer timer(ex, options.rounds);
  const OpBenchPlan plan{.ex = ex, .rows = options.rows, .kinds = kinds, .timer = timer};
  for (const MatrixShape& shape : options.shapes) {
    step(internal::Concat("linear ", shape.n, "x", shape.k));
    BenchLinearOp(plan, shape);
  }
  step("swiglu");
  BenchSwiGluOp(plan);
  step("linear_activate");
  BenchLinearActivateOp(plan);
  step("attention");
  BenchAttentionOps(plan);
  step("norms, rope, activations");
  BenchRowOps(plan);
  return std::move(timer).Result();
}

}  // namespace binocle
