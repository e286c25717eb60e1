// What is measured, and that the figures of a line belong together. How fast anything is depends on the machine, and on who else is on it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "binocle/bench_ops.h"
#include "core/cpu_level.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;

void ExpectSpread(const Spread& s) {
  EXPECT_GT(s.lower, 0);
  EXPECT_LE(s.lower, s.median);
  EXPECT_LE(s.median, s.upper);
  EXPECT_TRUE(std::isfinite(s.upper));
}

// A rate is there exactly where the level has the instruction.
void ExpectRates(const MachineBench& m) {
  const CpuLevel level = CpuLevelNamed(m.cpu_level).value();
  ExpectSpread(m.read_rate);
  ExpectSpread(m.f32_rate);
  EXPECT_EQ(m.bf16_rate.median > 0, level >= CpuLevel::kBf16) << m.cpu_level;
  EXPECT_EQ(m.int8_rate.median > 0, level >= CpuLevel::kVnni) << m.cpu_level;
}

TEST(BenchMachine, MeasuresWhatTheLevelHas) {
  const MachineBench bench = BenchMachine({.threads = 1, .rounds = 2});
  EXPECT_EQ(bench.threads, 1);
  EXPECT_EQ(bench.rounds, 2);
  EXPECT_EQ(bench.cpu_level, CpuLevelName(BestCpuLevel()));
  ExpectRates(bench);
}

TEST(BenchMachine, RefusesWhatIsOutOfRange) {
  EXPECT_EQ(ErrorOf([] { BenchMachine({.threads = 1025}); }),
            "INVALID_ARGUMENT: threads is 1025, expected 0 to 1024");
  EXPECT_EQ(ErrorOf([] { BenchMachine({.rounds = 0}); }),
            "INVALID_ARGUMENT: rounds is 0, expected 1 to 1000");
}

// One run for all that is asked of it: it takes seconds, most of them for memory.
const OpBench& SmallOpBench() {
  static const OpBench bench = BenchOps({.rows = {1, 3},
                                         .shapes = {{70, 130}},
                                         .compute = {"int4", "f32", "f32", "bf16"},
                                         .threads = 2,
                                         .rounds = 1});
  return bench;
}

TEST(BenchOps, EveryOpIsThereForItsRowsAndKinds) {
  std::multiset<std::string> found, expected;
  for (const OpTiming& t : SmallOpBench().ops)
    found.insert(t.op + " " + std::to_string(t.rows) + " " + t.compute);
  const auto expect = [&](const std::vector<std::string>& ops, const std::vector<int>& rows,
                          const std::vector<std::string>& kinds) {
    for (const std::string& op : ops) {
      for (const int count : rows) {
        for (const std::string& kind : kinds)
          expected.insert(op + " " + std::to_string(count) + " " + kind);
      }
    }
  };
  expect({"linear", "swiglu", "linear_activate"}, {1, 3}, {"f32", "bf16", "int4"});
  expect({"rms_norm", "layer_norm"}, {1, 3}, {"f32", "bf16", "int8"});  // as int4 takes rows
  expect({"rope", "silu_mul", "gelu", "gelu_tanh", "quick_gelu"}, {1, 3}, {"f32"});
  expect({"kv_write"}, {1, 3}, {"f32", "bf16"});
  expect({"attention"}, {512, 1, 1, 512, 1, 1}, {"f32", "bf16"});
  EXPECT_EQ(found, expected);
}

double Middle(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

TEST(BenchOps, SharesAreOfTheMachineInTheSameRun) {
  const OpBench& bench = SmallOpBench();
  ExpectRates(bench.machine);
  EXPECT_EQ(bench.machine.threads, 2);
  EXPECT_EQ(bench.machine.rounds, 1);
  std::vector<double> arithmetic, read;
  for (const OpTiming& t : bench.ops) {
    SCOPED_TRACE(t.op + " " + std::to_string(t.rows) + " " + t.compute);
    ExpectSpread(t.milliseconds);
    ExpectSpread(t.bytes_per_second);
    ExpectSpread(t.read_share);
    const bool products = t.n > 0 || t.keys > 0;
    EXPECT_EQ(t.operations_per_second.median > 0, products);
    const double rate = t.compute == "f32"    ? bench.machine.f32_rate.median
                        : t.compute == "bf16" ? bench.machine.bf16_rate.median
                                              : bench.machine.int8_rate.median;
    EXPECT_EQ(t.arithmetic_share.median > 0, products && rate > 0);
    if (!products) continue;  // rows alone may come from a cache
    arithmetic.push_back(t.arithmetic_share.median);
    read.push_back(t.read_share.median);
  }
  // Of one op a share may be anything where others use the processors: it and the machine are not measured at the same moment.
  EXPECT_LT(Middle(arithmetic), 1.5);
  EXPECT_LT(Middle(read), 1.5);
}

TEST(BenchOps, OperationsAndBytesAreThoseOfTheShape) {
  for (const OpTiming& t : SmallOpBench().ops) {
    SCOPED_TRACE(t.op + " " + std::to_string(t.rows) + " " + t.compute);
    // There was one round, so the figures are of the same call.
    const auto expect_of_a_call = [&](const Spread& per_second, double expected) {
      EXPECT_NEAR(per_second.median * t.milliseconds.median / 1000, expected, 1e-9 * expected);
    };
    const auto rows = static_cast<double>(t.rows), keys = static_cast<double>(t.keys);
    if (t.op == "linear") {
      EXPECT_EQ(t.n, 70);
      EXPECT_EQ(t.k, 130);
      expect_of_a_call(t.operations_per_second, 2 * 70 * 130 * rows);
    }
    if (t.op == "swiglu" && t.compute != "int4") {  // which has factors beside its four bits
      const double bytes = t.compute == "f32" ? 4 : 2;
      expect_of_a_call(t.bytes_per_second, 11264 * 2048 * bytes + 4 * 2048 * rows);
    }
    if (t.op == "attention") {
      EXPECT_EQ(t.width, t.heads * t.head_dim);
      const auto width = static_cast<double>(t.width);
      const auto kv_width = static_cast<double>(t.kv_heads * t.head_dim);
      const double bytes = t.compute == "f32" ? 4 : 2;
      expect_of_a_call(t.operations_per_second, 4 * rows * (keys - (rows - 1) / 2) * width);
      expect_of_a_call(t.bytes_per_second, 2 * keys * kv_width * bytes + 4 * rows * width);
    }
    if (t.op == "rms_norm") expect_of_a_call(t.bytes_per_second, 4 * 2048 * (rows + 1));
  }
}

TEST(BenchOps, RefusesWhatIsOutOfRange) {
  const auto error = [](const OpBenchOptions& options) {
    return ErrorOf([&] { BenchOps(options); });
  };
  EXPECT_EQ(error({.rows = {1, 8193}}), "INVALID_ARGUMENT: rows is 8193, expected 1 to 8192");
  EXPECT_EQ(error({.rows = {}}), "INVALID_ARGUMENT: rows is empty, expected at least one number");
  EXPECT_EQ(
      error({.shapes = {{64, 65537}}}),
      "INVALID_ARGUMENT: shape is 64x65537, expected NxK with N from 1 to 262144 and K from 1 "
      "to 65536");
  EXPECT_EQ(error({.shapes = {}}), "INVALID_ARGUMENT: shape is empty, expected at least one NxK");
  EXPECT_EQ(error({.compute = {"f32", "blocks"}}),
            "INVALID_ARGUMENT: compute is blocks, expected f32, bf16, int8 or int4");
  EXPECT_EQ(error({.compute = {}}),
            "INVALID_ARGUMENT: compute is empty, expected at least one kind");
  EXPECT_EQ(error({.threads = -1}), "INVALID_ARGUMENT: threads is -1, expected 0 to 1024");
  EXPECT_EQ(error({.rounds = 1001}), "INVALID_ARGUMENT: rounds is 1001, expected 1 to 1000");
}

}  // namespace
}  // namespace binocle
