// binocle bench: how fast the parts are on this machine.
#include "binocle/bench.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/bench_commands.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct BenchFlags {
  AttentionBenchOptions options;
  bool json = false;
};

Json ToJson(const AttentionTiming& t) {
  return {{"contender", t.contender},
          {"phase", t.phase},
          {"heads", t.heads},
          {"kv_heads", t.kv_heads},
          {"head_dim", t.head_dim},
          {"visual_tokens", t.visual_tokens},
          {"text_tokens", t.text_tokens},
          {"milliseconds", SpreadJson(t.milliseconds)},
          {"ratio", SpreadJson(t.ratio)},
          {"flops", SpreadJson(t.flops)},
          {"peak_share", SpreadJson(t.peak_share)}};
}

Json ToJson(const ModelBench& m) {
  Json timings = Json::array();
  for (const ModelTiming& t : m.timings) {
    timings.push_back({{"contender", t.contender},
                       {"phase", t.phase},
                       {"milliseconds", SpreadJson(t.milliseconds)},
                       {"ratio", SpreadJson(t.ratio)}});
  }
  return {{"shape", m.shape},
          {"parameters", m.parameters},
          {"layers", m.layers},
          {"visual_tokens", m.visual_tokens},
          {"text_tokens", m.text_tokens},
          {"sinks", m.sinks},
          {"timings", timings}};
}

Json ToJson(const AttentionBench& b) {
  Json attention = Json::array(), models = Json::array();
  for (const AttentionTiming& t : b.attention) attention.push_back(ToJson(t));
  for (const ModelBench& m : b.models) models.push_back(ToJson(m));
  return {{"simd", b.simd},         {"threads", b.threads},
          {"rounds", b.rounds},     {"f32_rate", SpreadJson(b.f32_rate)},
          {"attention", attention}, {"models", models}};
}

void PrintRatio(const Spread& s) { std::printf("%8.3f  %.3f-%.3f", s.median, s.lower, s.upper); }

void PrintAttention(const AttentionBench& b) {
  const AttentionTiming* last = nullptr;
  for (const AttentionTiming& t : b.attention) {
    if (last == nullptr || t.head_dim != last->head_dim || t.phase != last->phase ||
        t.visual_tokens != last->visual_tokens) {
      std::printf("\n%lld/%lld heads of %lld, %lld visual + %lld text tokens, %s\n",
                  static_cast<long long>(t.heads), static_cast<long long>(t.kv_heads),
                  static_cast<long long>(t.head_dim), static_cast<long long>(t.visual_tokens),
                  static_cast<long long>(t.text_tokens), t.phase.c_str());
      std::printf("  %-14s %10s %8s  %-11s %9s %7s\n", "", "ms", "ratio", "quartiles", "GFLOP/s",
                  "peak %");
    }
    last = &t;
    std::printf("  %-14s %10.3f ", t.contender.c_str(), t.milliseconds.median);
    PrintRatio(t.ratio);
    std::printf(" %9.1f %7.1f\n", t.flops.median / 1e9, 100 * t.peak_share.median);
  }
}

void PrintModel(const ModelBench& m) {
  std::printf(
      "\nmodel %s: %lld parameters, %lld layers, %lld visual + %lld text tokens, %lld sinks\n",
      m.shape.c_str(), static_cast<long long>(m.parameters), static_cast<long long>(m.layers),
      static_cast<long long>(m.visual_tokens), static_cast<long long>(m.text_tokens),
      static_cast<long long>(m.sinks));
  for (const ModelTiming& t : m.timings) {
    std::printf("  %-8s %-12s %10.2f ms ", t.phase.c_str(), t.contender.c_str(),
                t.milliseconds.median);
    PrintRatio(t.ratio);
    std::printf("\n");
  }
}

void Print(const AttentionBench& b) {
  std::printf("%s, %lld threads, f32 %.1f GFLOP/s; %lld rounds, ratios to core or plain\n",
              b.simd.c_str(), static_cast<long long>(b.threads), b.f32_rate.median / 1e9,
              static_cast<long long>(b.rounds));
  PrintAttention(b);
  for (const ModelBench& m : b.models) PrintModel(m);
}

void Attention(const BenchFlags& flags) {
  AttentionBenchOptions options = flags.options;
  if (isatty(STDERR_FILENO))
    options.on_step = [](const std::string& what) { std::cerr << what << std::endl; };
  const AttentionBench bench = BenchAttention(options);
  if (flags.json) {
    std::cout << Line(ToJson(bench)) << '\n';
  } else {
    Print(bench);
  }
  FlushOutput();
}

}  // namespace

Json SpreadJson(const Spread& s) {
  return {{"lower", s.lower}, {"median", s.median}, {"upper", s.upper}};
}

void AddBench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", "Measure how fast the parts are on this machine");
  command->require_subcommand(0, 1);
  command->callback([command] {
    if (command->get_subcommands().empty())
      throw UsageError{"what to measure is missing, expected attention, machine, model or ops"};
  });
  AddBenchMachine(*command);
  AddBenchModel(*command);
  AddBenchOps(*command);
  CLI::App* attention = command->add_subcommand(
      "attention",
      "The attention core against plain two-pass attention and against itself with each\n"
      "intervention, and a language model with random weights with each of them");
  const auto flags = std::make_shared<BenchFlags>();
  AttentionBenchOptions& o = flags->options;
  attention
      ->add_option("--tokens", o.visual_tokens,
                   "visual tokens (repeatable; the model takes the first)")
      ->check(IsInteger("--tokens"))
      ->allow_extra_args(false)
      ->capture_default_str();
  const auto number = [&](const char* name, int64_t& value, const char* what) {
    attention->add_option(name, value, what)->check(IsInteger(name))->capture_default_str();
  };
  number("--text-tokens", o.text_tokens, "text tokens beside them");
  number("--rounds", o.rounds, "every contender takes a turn in each");
  number("--threads", o.threads, "threads (0: one per processor)");
  attention
      ->add_option("--model-shape", o.model_shape,
                   "1.1b (random weights, 4.6 GB and some minutes), tiny or none")
      ->check(NotEmpty("--model-shape", "1.1b, tiny or none"))
      ->capture_default_str();
  attention->add_flag("--json", flags->json, "print one JSON object");
  attention->callback([flags] { Attention(*flags); });
}

}  // namespace binocle::cli
