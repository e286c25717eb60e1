// binocle bench machine: what the processor and the memory give.
#include "binocle/bench_machine.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/bench_commands.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct MachineFlags {
  MachineBenchOptions options;
  bool json = false;
};

void PrintRate(const char* name, const char* unit, const Spread& rate) {
  if (rate.median == 0) {
    std::printf("%-5s %-6s %9s\n", name, unit, "none");
    return;
  }
  std::printf("%-5s %-6s %9.1f  %.1f-%.1f\n", name, unit, rate.median / 1e9, rate.lower / 1e9,
              rate.upper / 1e9);
}

void PrintMachine(const MachineBench& m) {
  std::printf("%s, %lld threads, %lld rounds: medians and quartiles\n", m.cpu_level.c_str(),
              static_cast<long long>(m.threads), static_cast<long long>(m.rounds));
  PrintRate("read", "GB/s", m.read_rate);
  PrintRate("f32", "Gop/s", m.f32_rate);
  PrintRate("bf16", "Gop/s", m.bf16_rate);
  PrintRate("int8", "Gop/s", m.int8_rate);
}

void RunMachine(const MachineFlags& flags) {
  const MachineBench bench = BenchMachine(flags.options);
  if (flags.json) {
    std::cout << Line(MachineJson(bench)) << '\n';
  } else {
    PrintMachine(bench);
  }
  FlushOutput();
}

}  // namespace

Json MachineJson(const MachineBench& m) {
  return {{"cpu_level", m.cpu_level},
          {"threads", m.threads},
          {"rounds", m.rounds},
          {"read_rate", SpreadJson(m.read_rate)},
          {"f32_rate", SpreadJson(m.f32_rate)},
          {"bf16_rate", SpreadJson(m.bf16_rate)},
          {"int8_rate", SpreadJson(m.int8_rate)}};
}

void AddBenchMachine(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand(
      "machine", "How fast memory is read, and how many products of each kind fit a second");
  const auto flags = std::make_shared<MachineFlags>();
  const auto number = [&](const char* name, int64_t& value, const char* what) {
    command->add_option(name, value, what)->check(IsInteger(name))->capture_default_str();
  };
  number("--threads", flags->options.threads, "threads (0: one per processor)");
  number("--rounds", flags->options.rounds, "each of some 100 ms");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { RunMachine(*flags); });
}

}  // namespace binocle::cli
