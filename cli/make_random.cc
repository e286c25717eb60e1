// binocle make-random: a model of a published shape with random weights.
#include "binocle/make_random.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "binocle/error.h"
#include "cli/byte_progress.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct MakeRandomFlags {
  std::string preset;
  std::string out;
  std::string shard_size = "4GiB";
  RandomModelOptions options;
  bool list = false;
  bool json = false;
};

void ListPresets(bool as_json) {
  Json list = Json::array();
  for (const RandomPreset& preset : RandomPresets()) {
    if (as_json) {
      list.push_back(
          {{"name", preset.name}, {"about", preset.about}, {"text_only", preset.text_only}});
    } else {
      std::printf("%-16s %s\n", preset.name.c_str(), preset.about.c_str());
    }
  }
  if (as_json) std::cout << Line({{"presets", list}}) << '\n';
  FlushOutput();
}

void MakeRandom(const MakeRandomFlags& flags) {
  if (flags.list) return ListPresets(flags.json);
  if (flags.preset.empty())
    throw UsageError{"--preset is missing, expected a name (binocle make-random --list has them)"};
  if (flags.out.empty())
    throw UsageError{"--out is missing, expected a new directory or a .gguf file"};
  RandomModelOptions options = flags.options;
  options.shard_bytes = ParseBytes(flags.shard_size, "--shard-size");
  ByteProgress progress("writing");
  options.on_progress = [&](int64_t done, int64_t total) { progress.Show(done, total); };
  const RandomModelReport report = MakeRandomModel(flags.preset, flags.out, options);
  progress.Finish();
  if (flags.json) {
    std::cout << Line({{"path", report.path},
                       {"preset", report.preset},
                       {"tensors", report.tensors},
                       {"parameters", report.parameters},
                       {"bytes", report.bytes}})
              << '\n';
  } else {
    std::printf("%s: %s, %lld parameters in %lld tensors, %.1f MiB\n", report.path.c_str(),
                report.preset.c_str(), static_cast<long long>(report.parameters),
                static_cast<long long>(report.tensors),
                static_cast<double>(report.bytes) / (1 << 20));
  }
  FlushOutput();
}

}  // namespace

void AddMakeRandom(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "make-random", "Make a model of a published shape with random weights, for benchmarks");
  const auto flags = std::make_shared<MakeRandomFlags>();
  command->add_option("--preset", flags->preset, "the shape; --list has their names")
      ->check(NotEmpty("--preset", "a name"));
  command->add_option("--out", flags->out, "the directory, or file ending in .gguf, to make")
      ->check(NotEmpty("--out", "a path"));
  command
      ->add_option("--dtype", flags->options.dtype,
                   "of matrices: f32, f16, bf16; in .gguf also q8_0, q4_0")
      ->check(NotEmpty("--dtype", "a type"))
      ->capture_default_str();
  command->add_option("--seed", flags->options.seed, "other weights for another one")
      ->check(IsSeed("--seed"))
      ->capture_default_str();
  command->add_option("--shard-size", flags->shard_size, "largest file of a directory")
      ->check(NotEmpty("--shard-size", "a size, e.g. 4GiB"))
      ->capture_default_str();
  command->add_flag("--list", flags->list, "list the presets");
  command->add_flag("--overwrite", flags->options.overwrite, "replace the model that is there");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { MakeRandom(*flags); });
}

}  // namespace binocle::cli
