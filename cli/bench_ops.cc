// binocle bench ops: the ops of models one by one, beside what the machine could do.
#include "binocle/bench_ops.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "cli/bench_commands.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct OpFlags {
  OpBenchOptions options;
  std::vector<std::string> shapes;
  bool json = false;
};

MatrixShape ParseShape(const std::string& text) {
  const auto refuse = [&] {
    throw UsageError{"--shape is " + (text.empty() ? "empty" : text) +
                     ", expected NxK, e.g. 2048x5632"};
  };
  MatrixShape shape;
  const char* end = text.data() + text.size();
  const auto n = std::from_chars(text.data(), end, shape.n);
  if (n.ec != std::errc() || n.ptr == end || *n.ptr != 'x') refuse();
  const auto k = std::from_chars(n.ptr + 1, end, shape.k);
  if (k.ec != std::errc() || k.ptr != end) refuse();
  return shape;
}

Json OpJson(const OpTiming& t) {
  return {{"op", t.op},
          {"compute", t.compute},
          {"rows", t.rows},
          {"n", t.n},
          {"k", t.k},
          {"width", t.width},
          {"keys", t.keys},
          {"heads", t.heads},
          {"kv_heads", t.kv_heads},
          {"head_dim", t.head_dim},
          {"milliseconds", SpreadJson(t.milliseconds)},
          {"operations_per_second", SpreadJson(t.operations_per_second)},
          {"arithmetic_share", SpreadJson(t.arithmetic_share)},
          {"bytes_per_second", SpreadJson(t.bytes_per_second)},
          {"read_share", SpreadJson(t.read_share)}};
}

Json OpBenchJson(const OpBench& b) {
  Json ops = Json::array();
  for (const OpTiming& t : b.ops) ops.push_back(OpJson(t));
  return {{"machine", MachineJson(b.machine)}, {"ops", ops}};
}

// Of what it is, but for rows and compute kind: a heading of the table.
std::string Subject(const OpTiming& t) {
  const auto of = [](int64_t number) { return std::to_string(number); };
  if (t.n > 0) return t.op + " " + of(t.n) + "x" + of(t.k);
  if (t.keys == 0) return t.op + " of " + of(t.width);
  return t.op + " " + of(t.heads) + "/" + of(t.kv_heads) + " heads of " + of(t.head_dim) + ", " +
         of(t.keys) + " keys";
}

std::string Quartiles(const Spread& s) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g-%.4g", s.lower, s.upper);
  return text;
}

void PrintShare(double per_second, double share) {
  if (per_second == 0) {
    std::printf(" %9s %5s", "-", "-");
  } else if (share == 0) {
    std::printf(" %9.1f %5s", per_second / 1e9, "-");
  } else {
    std::printf(" %9.1f %5.0f", per_second / 1e9, 100 * share);
  }
}

void PrintOp(const OpTiming& t) {
  std::printf("  %5lld %-5s %10.4f  %-17s", static_cast<long long>(t.rows), t.compute.c_str(),
              t.milliseconds.median, Quartiles(t.milliseconds).c_str());
  PrintShare(t.operations_per_second.median, t.arithmetic_share.median);
  PrintShare(t.bytes_per_second.median, t.read_share.median);
  std::printf("\n");
}

void PrintOps(const OpBench& b) {
  const MachineBench& m = b.machine;
  std::printf("%s, %lld threads, %lld rounds\n", m.cpu_level.c_str(),
              static_cast<long long>(m.threads), static_cast<long long>(m.rounds));
  std::printf("machine: read %.1f GB/s, f32 %.0f, bf16 %.0f, int8 %.0f Gop/s\n",
              m.read_rate.median / 1e9, m.f32_rate.median / 1e9, m.bf16_rate.median / 1e9,
              m.int8_rate.median / 1e9);
  // Ops that take turns with others stand together all the same.
  std::vector<std::string> subjects;
  for (const OpTiming& t : b.ops) {
    const std::string subject = Subject(t);
    if (std::find(subjects.begin(), subjects.end(), subject) == subjects.end())
      subjects.push_back(subject);
  }
  for (const std::string& subject : subjects) {
    std::printf("\n%s\n  %5s %-5s %10s  %-17s %9s %5s %9s %5s\n", subject.c_str(), "rows", "", "ms",
                "quartiles", "Gop/s", "%", "GB/s read", "%");
    for (const OpTiming& t : b.ops)
      if (Subject(t) == subject) PrintOp(t);
  }
}

void RunOps(const OpFlags& flags) {
  OpBenchOptions options = flags.options;
  if (!flags.shapes.empty()) options.shapes.clear();
  for (const std::string& shape : flags.shapes) options.shapes.push_back(ParseShape(shape));
  if (isatty(STDERR_FILENO))
    options.on_step = [](const std::string& what) { std::cerr << what << std::endl; };
  const OpBench bench = BenchOps(options);
  if (flags.json) {
    std::cout << Line(OpBenchJson(bench)) << '\n';
  } else {
    PrintOps(bench);
  }
  FlushOutput();
}

}  // namespace

void AddBenchOps(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand(
      "ops",
      "Products of each compute kind, attention, norms, RoPE and activations, one by one, and how\n"
      "near the machine's limits each is");
  const auto flags = std::make_shared<OpFlags>();
  OpBenchOptions& o = flags->options;
  command->add_option("--rows", o.rows, "rows of all ops but attention (repeatable)")
      ->check(IsInteger("--rows"))
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--shape", flags->shapes,
                   "NxK, a matrix [N, K] of the op linear (repeatable; default: those of\n"
                   "TinyLlama 1.1B)")
      ->allow_extra_args(false);
  command->add_option("--compute", o.compute, "f32, bf16, int8 or int4 (repeatable)")
      ->check(NotEmpty("--compute", "f32, bf16, int8 or int4"))
      ->allow_extra_args(false)
      ->capture_default_str();
  const auto number = [&](const char* name, int64_t& value, const char* what) {
    command->add_option(name, value, what)->check(IsInteger(name))->capture_default_str();
  };
  number("--threads", o.threads, "threads (0: one per processor)");
  number("--rounds", o.rounds, "every contender takes a turn in each");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { RunOps(*flags); });
}

}  // namespace binocle::cli
