// binocle quantize: a model directory with its matrices packed in fewer bits.
#include "binocle/quantize.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/byte_progress.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct QuantizeFlags {
  std::string model;
  std::string out;
  std::string shard_size = "4GiB";
  QuantizeOptions options;
  bool json = false;
};

void Quantize(const QuantizeFlags& flags) {
  if (flags.model.empty()) throw UsageError{"--model is missing, expected a model directory"};
  if (flags.out.empty()) throw UsageError{"--out is missing, expected a new directory"};
  QuantizeOptions options = flags.options;
  options.shard_bytes = ParseBytes(flags.shard_size, "--shard-size");
  ByteProgress progress("packing");
  options.on_progress = [&](int64_t done, int64_t total) { progress.Show(done, total); };
  const QuantizeReport report = QuantizeModel(flags.model, flags.out, options);
  progress.Finish();
  if (flags.json) {
    std::cout << Line({{"path", report.path},
                       {"compute", options.compute},
                       {"matrices", report.matrices},
                       {"tensors", report.tensors},
                       {"bytes", report.bytes},
                       {"from_bytes", report.from_bytes},
                       {"files", report.files}})
              << '\n';
  } else {
    std::printf("%s: %lld matrices in %s, %.1f MiB of %.1f MiB\n", report.path.c_str(),
                static_cast<long long>(report.matrices), options.compute.c_str(),
                static_cast<double>(report.bytes) / (1 << 20),
                static_cast<double>(report.from_bytes) / (1 << 20));
  }
  FlushOutput();
}

}  // namespace

void AddQuantize(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "quantize", "Pack a model directory's matrices in fewer bits, ready to be mapped");
  const auto flags = std::make_shared<QuantizeFlags>();
  const auto text = [&](const char* name, std::string& value, const char* what,
                        const char* expected) {
    command->add_option(name, value, what)->check(NotEmpty(name, expected));
  };
  text("--model", flags->model, "model directory", "a path");
  text("--out", flags->out, "the directory to make", "a path");
  text("--compute", flags->options.compute, "bf16, int8 (default) or int4", "bf16, int8 or int4");
  text("--compute-parts", flags->options.compute_parts,
       "otherwise for parts, e.g. vision=bf16,head=f32 (vision, fusion, projector, language, head)",
       "PART=KIND");
  text("--shard-size", flags->shard_size, "largest file of tensors (default: 4GiB)",
       "a size, e.g. 4GiB");
  command->add_flag("--overwrite", flags->options.overwrite, "replace the model that is there");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Quantize(*flags); });
}

}  // namespace binocle::cli
