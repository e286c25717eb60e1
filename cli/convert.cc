// binocle convert: a model directory in another form, with adapters merged, in another element type.
#include "binocle/convert.h"

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

struct ConvertFlags {
  std::string model;
  std::string out;
  std::string shard_size = "4GiB";
  ConvertOptions options;
  bool json = false;
};

void PrintReport(const ConvertReport& report) {
  std::printf("%s: %s, %lld tensors, %.1f MiB", report.path.c_str(), report.model_type.c_str(),
              static_cast<long long>(report.tensors),
              static_cast<double>(report.bytes) / (1 << 20));
  if (report.merged_tensors > 0)
    std::printf(", %lld of them merged", static_cast<long long>(report.merged_tensors));
  std::printf("\n");
  for (const std::string& file : report.files) std::printf("  %s\n", file.c_str());
}

void Convert(const ConvertFlags& flags) {
  if (flags.model.empty()) throw UsageError{"--model is missing, expected a model directory"};
  if (flags.out.empty()) throw UsageError{"--out is missing, expected a new directory"};
  ConvertOptions options = flags.options;
  options.shard_bytes = ParseBytes(flags.shard_size, "--shard-size");
  ByteProgress progress("converting");
  options.on_progress = [&](int64_t done, int64_t total) { progress.Show(done, total); };
  const ConvertReport report = ConvertModel(flags.model, flags.out, options);
  progress.Finish();
  for (const std::string& note : report.notes) std::cerr << note << '\n';
  if (flags.json) {
    std::cout << Line({{"path", report.path},
                       {"model_type", report.model_type},
                       {"tensors", report.tensors},
                       {"merged_tensors", report.merged_tensors},
                       {"bytes", report.bytes},
                       {"files", report.files},
                       {"notes", report.notes}})
              << '\n';
  } else {
    PrintReport(report);
  }
  FlushOutput();
}

}  // namespace

void AddConvert(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "convert", "Rewrite a model directory: another form, merged adapters, another element type");
  const auto flags = std::make_shared<ConvertFlags>();
  command->add_option("--model", flags->model, "model directory")
      ->check(NotEmpty("--model", "a path"));
  command->add_option("--out", flags->out, "the directory to make")
      ->check(NotEmpty("--out", "a path"));
  command->add_option("--to", flags->options.to, "binocle or hf (default: the form stays)")
      ->check(NotEmpty("--to", "binocle or hf"));
  command
      ->add_option("--lora", flags->options.lora,
                   "directory of a LoRA adapter in PEFT's format to merge (repeatable, in order)")
      ->check(NotEmpty("--lora", "a path"))
      ->allow_extra_args(false);
  command
      ->add_option("--conversation", flags->options.conversation,
                   "how the new Binocle directory's chats are written (default: as now)")
      ->check(NotEmpty("--conversation", "a name"));
  command->add_option("--dtype", flags->options.dtype, "f32, f16 or bf16 (default: as stored)")
      ->check(NotEmpty("--dtype", "f32, f16 or bf16"));
  command->add_option("--shard-size", flags->shard_size, "largest file of tensors")
      ->check(NotEmpty("--shard-size", "a size, e.g. 4GiB"))
      ->capture_default_str();
  command->add_flag("--overwrite", flags->options.overwrite, "replace the model that is there");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Convert(*flags); });
}

}  // namespace binocle::cli
