// binocle bench model: a model's stages, one by one, beside what the machine could do.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "binocle/bench_speed.h"
#include "cli/bench_commands.h"
#include "cli/commands.h"
#include "cli/device_note.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct SpeedFlags {
  ModelFlags model;
  SpeedBenchOptions options;
  bool json = false;
};

Json ToJson(const StageSpeed& s) {
  Json ops = Json::array();
  for (const OpShare& op : s.ops) {
    ops.push_back({{"op", op.op},
                   {"milliseconds", op.milliseconds},
                   {"share", op.share},
                   {"calls", op.calls}});
  }
  return {{"stage", s.stage},
          {"batch", s.batch},
          {"visual_tokens", s.visual_tokens},
          {"tokens", s.tokens},
          {"first_milliseconds", s.first_milliseconds},
          {"milliseconds", SpreadJson(s.milliseconds)},
          {"tokens_per_second", SpreadJson(s.tokens_per_second)},
          {"gigabytes_per_second", s.gigabytes_per_second},
          {"read_gigabytes_per_second", s.read_gigabytes_per_second},
          {"read_share", s.read_share},
          {"ops", ops}};
}

Json ToJson(const SpeedBench& b) {
  Json stages = Json::array();
  for (const StageSpeed& s : b.stages) stages.push_back(ToJson(s));
  return {{"model", b.model},
          {"device", b.device},
          {"compute", b.compute},
          {"cpu_level", b.cpu_level},
          {"threads", b.threads},
          {"rounds", b.rounds},
          {"load_milliseconds", b.load_milliseconds},
          {"weight_bytes", b.weight_bytes},
          {"planned_bytes", b.planned_bytes},
          {"read_rate", SpreadJson(b.read_rate)},
          {"f32_rate", SpreadJson(b.f32_rate)},
          {"bf16_rate", SpreadJson(b.bf16_rate)},
          {"int8_rate", SpreadJson(b.int8_rate)},
          {"stages", stages}};
}

void PrintStage(const StageSpeed& s) {
  std::string name = s.stage;
  if (s.stage == "decode" || s.stage == "questions") name += " × " + std::to_string(s.batch);
  if (s.visual_tokens > 0) name += ", " + std::to_string(s.visual_tokens);
  std::printf("%-15s %9.2f ms  %.2f-%.2f  first %9.2f ms  %9.1f tokens/s", name.c_str(),
              s.milliseconds.median, s.milliseconds.lower, s.milliseconds.upper,
              s.first_milliseconds, s.tokens_per_second.median);
  if (s.gigabytes_per_second > 0)
    std::printf("  %.1f GB/s, %.0f %% of reading's %.1f", s.gigabytes_per_second,
                100 * s.read_share, s.read_gigabytes_per_second);
  std::printf("\n   ");
  for (const OpShare& op : s.ops)
    std::printf(" %s %.2f (%.0f %%)", op.op.c_str(), op.milliseconds, 100 * op.share);
  std::printf("\n");
}

void Print(const SpeedBench& b) {
  std::printf("%s, %s, %s, %s, %lld threads, %lld rounds\n", b.model.c_str(), b.device.c_str(),
              b.compute.c_str(), b.cpu_level.c_str(), static_cast<long long>(b.threads),
              static_cast<long long>(b.rounds));
  std::printf("load %.0f ms, weights %.2f GB, plan %.2f GB\n", b.load_milliseconds,
              static_cast<double>(b.weight_bytes) / 1e9,
              static_cast<double>(b.planned_bytes) / 1e9);
  std::printf("machine: read %.1f GB/s, f32 %.0f, bf16 %.0f, int8 %.0f Gop/s\n\n",
              b.read_rate.median / 1e9, b.f32_rate.median / 1e9, b.bf16_rate.median / 1e9,
              b.int8_rate.median / 1e9);
  for (const StageSpeed& s : b.stages) PrintStage(s);
}

void RunSpeed(const SpeedFlags& flags) {
  SpeedBenchOptions options = flags.options;
  if (isatty(STDERR_FILENO))
    options.on_step = [](const std::string& what) { std::cerr << what << std::endl; };
  const EngineOptions engine = flags.model.Options();
  if (engine.device != "cpu")
    TellDeviceNote(Engine::Inspect(flags.model.Path(), engine).device_note, engine.device);
  const SpeedBench bench = BenchSpeed(flags.model.Path(), engine, options);
  if (flags.json) {
    std::cout << Line(ToJson(bench)) << '\n';
  } else {
    Print(bench);
  }
  FlushOutput();
}

}  // namespace

void AddBenchModel(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand(
      "model",
      "A model's stages: encoding a picture, prefill, decoding, a picture and a question; with\n"
      "where the time goes and how near the machine's limits that is");
  const auto flags = std::make_shared<SpeedFlags>();
  flags->model.Add(*command);
  SpeedBenchOptions& o = flags->options;
  const auto number = [&](const char* name, int64_t& value, const char* what) {
    command->add_option(name, value, what)->check(IsInteger(name))->capture_default_str();
  };
  number("--prompt-tokens", o.prompt_tokens,
         "tokens of the text prompt (0: 512, or what the model has room for)");
  number("--text-tokens", o.text_tokens, "text tokens beside the picture");
  number("--decode-tokens", o.decode_tokens, "tokens decoded in each round");
  command->add_option("--batch", o.batches, "sequences that decode at once (repeatable)")
      ->check(IsInteger("--batch"))
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option(
          "--visual-tokens", o.visual_tokens,
          "pictures of so many tokens, stock beside composite, and questions that share one\n"
          "(repeatable)")
      ->check(IsInteger("--visual-tokens"))
      ->allow_extra_args(false);
  number("--rounds", o.rounds, "calls of each stage after the first");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { RunSpeed(*flags); });
}

}  // namespace binocle::cli
