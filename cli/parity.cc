// binocle parity: a model beside a dump of its reference, stage by stage, and the first stage that differs.
#include "binocle/parity.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "binocle/engine.h"
#include "cli/commands.h"
#include "cli/device_note.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct ParityFlags {
  std::string model;
  std::string dump;
  std::string tolerance;  // empty: the dump's
  std::string memory_limit;
  ParityOptions options;
  bool json = false;
};

double ParseTolerance(const std::string& text) {
  double value = 0;
  const auto [after, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || after != text.data() + text.size())
    throw UsageError{"--tolerance is " + text + ", expected a number"};
  return value;
}

// JSON has no infinity, which a difference is where one side is no number.
Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json StageJson(const ParityStage& stage) {
  Json json = {{"stage", stage.name}};
  const auto add = [&](const char* key, int64_t index) {
    if (index >= 0) json[key] = index;
  };
  add("image", stage.image);
  add("request", stage.request);
  add("input", stage.input);
  add("layer", stage.layer);
  json["compared"] = stage.compared;
  json["absolute"] = NumberOrNull(stage.absolute);
  json["relative"] = NumberOrNull(stage.relative);
  json["tolerance"] = stage.tolerance;
  json["agrees"] = stage.agrees;
  json["where"] = stage.where;
  return json;
}

Json ReportJson(const ParityReport& report) {
  const ParityStage* first = report.first_difference();
  Json json = {{"model", report.model}, {"dump", report.dump}, {"agrees", first == nullptr}};
  json["first_difference"] = first == nullptr ? Json(nullptr) : StageJson(*first);
  json["stages"] = Json::array();
  for (const ParityStage& stage : report.stages) json["stages"].push_back(StageJson(stage));
  return json;
}

// A row as soon as its stage is done: large models take minutes.
void PrintStage(const ParityStage& stage) {
  if (stage.tolerance > 0) {
    std::printf("%-32s %10lld %11.1e %11.1e %9.0e  %s\n", StageTitle(stage).c_str(),
                static_cast<long long>(stage.compared), stage.absolute, stage.relative,
                stage.tolerance, stage.agrees ? "agrees" : "DIFFERS");
  } else {
    std::printf("%-32s %10lld %11s %11s %9s  %s\n", StageTitle(stage).c_str(),
                static_cast<long long>(stage.compared), stage.agrees ? "0" : "", "", "exact",
                stage.agrees ? "agrees" : "DIFFERS");
  }
  std::fflush(stdout);
}

void CompareAndPrint(const ParityFlags& flags) {
  ParityOptions options = flags.options;
  if (!flags.tolerance.empty()) options.tolerance = ParseTolerance(flags.tolerance);
  if (!flags.memory_limit.empty())
    options.memory_limit = ParseBytes(flags.memory_limit, "--memory-limit");
  bool first_row = true;
  if (!flags.json) {
    options.on_stage = [&](const ParityStage& stage) {
      if (first_row)
        std::printf("%-32s %10s %11s %11s %9s\n", "stage", "compared", "absolute", "relative",
                    "expected");
      first_row = false;
      PrintStage(stage);
    };
  }
  const ParityReport report = CompareWithDump(flags.model, flags.dump, options);
  TellDeviceNote(report.device_note, options.device);
  const ParityStage* first = report.first_difference();
  if (flags.json) {
    std::cout << Line(ReportJson(report)) << '\n';
  } else {
    std::printf("%s\n", first == nullptr
                            ? "all stages agree"
                            : ("first difference: " + DescribeDifference(*first)).c_str());
  }
  FlushOutput();
  if (first != nullptr) {
    throw Error(Code::kFailedPrecondition,
                flags.model + ": differs from " + flags.dump + " at " + StageTitle(*first));
  }
}

}  // namespace

void AddParity(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("parity", "Compare a model stage by stage with a dump of its reference");
  const auto flags = std::make_shared<ParityFlags>();
  command->add_option("model", flags->model, "model directory or GGUF file")
      ->check(NotEmpty("the model's path", "a directory or file"));
  command
      ->add_option("dump", flags->dump,
                   "what tools/reference/dump.py made of it: FILE, FILE.json or FILE.safetensors")
      ->check(NotEmpty("the dump's path", "a file"));
  command
      ->add_option("--tolerance", flags->tolerance,
                   "largest relative difference (default: 1e-4; 0.1 for a dump in bf16)")
      ->check(NotEmpty("--tolerance", "a number"));
  command->add_option("--device", flags->options.device, "cpu, cuda or cuda:N")
      ->check(NotEmpty("--device", "a value"))
      ->capture_default_str();
  command->add_option("--compute", flags->options.compute, "f32, bf16, int8, int4 or blocks")
      ->check(NotEmpty("--compute", "a value"))
      ->capture_default_str();
  command->add_option("--threads", flags->options.threads, "threads (0: one per processor)")
      ->check(IsInteger("--threads"))
      ->capture_default_str();
  command
      ->add_option("--memory-limit", flags->memory_limit,
                   "largest memory plan that is loaded, e.g. 4GiB (default: the machine's "
                   "memory)")
      ->check(NotEmpty("--memory-limit", "a value"));
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    if (flags->model.empty()) throw UsageError{"the model is missing, expected MODEL DUMP"};
    if (flags->dump.empty()) throw UsageError{"the dump is missing, expected MODEL DUMP"};
    CompareAndPrint(*flags);
  });
}

}  // namespace binocle::cli
