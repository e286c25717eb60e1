// binocle inspect: what a model is made of and what it will take in memory.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "binocle/error.h"
#include "cli/commands.h"
#include "cli/device_note.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct InspectFlags {
  ModelFlags model;
  std::string path;
  bool json = false;
  bool tensors = false;
};

// Names come from files, which may hold what a terminal obeys: the same escapes as in an error's one line.
std::string Printable(const std::string& text) { return Error(Code::kUnknown, text).message(); }

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void PrintParts(const ModelInfo& info) {
  std::printf("\n%-16s %-22s %12s %12s %12s\n", "part", "type", "parameters", "weights MiB",
              "buffers MiB");
  for (const PartInfo& part : info.parts) {
    std::printf("%-16s %-22s %12lld %12.1f %12.1f\n", part.name.c_str(), part.type.c_str(),
                static_cast<long long>(part.parameters), MiB(part.weight_bytes),
                MiB(part.activation_bytes));
    std::string line;
    for (const auto& [key, value] : part.properties)
      line += (line.empty() ? "" : ", ") + key + " " + value;
    if (!line.empty()) std::printf("    %s\n", line.c_str());
  }
}

void PrintTensors(const ModelInfo& info) {
  std::printf("\n");
  for (const TensorInfo& tensor : info.tensors) {
    std::string shape;
    for (const int64_t extent : tensor.shape)
      shape += (shape.empty() ? "" : ", ") + std::to_string(extent);
    std::printf("%-80s %-5s [%s]\n", Printable(tensor.name).c_str(), tensor.dtype.c_str(),
                shape.c_str());
  }
}

void Print(const ModelInfo& info, bool tensors) {
  std::printf("%s (%s), %lld parameters\n%s\n", Printable(info.name).c_str(), info.family.c_str(),
              static_cast<long long>(info.parameters), Printable(info.path).c_str());
  std::printf("attention %s%s%s, fusion %s, conversation %s\n", info.attention.c_str(),
              info.aligner.empty() ? "" : ", aligner ", info.aligner.c_str(),
              info.fusion.empty() ? "none" : info.fusion.c_str(), info.conversation.c_str());
  std::printf("context %lld tokens, %lld per picture, vocabulary %lld\n",
              static_cast<long long>(info.context_tokens),
              static_cast<long long>(info.image_tokens), static_cast<long long>(info.vocabulary));
  PrintParts(info);
  std::printf(
      "\nmemory plan: %.1f MiB = weights and buffers above + keys and values %.1f MiB + workspace "
      "%.1f MiB + embedding table; the files' %.1f MiB are mapped\n",
      MiB(info.planned_bytes), MiB(info.kv_bytes), MiB(info.workspace_bytes), MiB(info.file_bytes));
  if (tensors) PrintTensors(info);
  std::printf("%zu tensors%s\n", info.tensors.size(), tensors ? "" : " (--tensors lists them)");
}

}  // namespace

void AddInspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "Show a model's architecture, tensors and memory plan");
  const auto flags = std::make_shared<InspectFlags>();
  command->add_option("path", flags->path, "model directory (same as --model)")
      ->check(NotEmpty("the model's path", "a directory"));
  command->add_flag("--json", flags->json, "print one JSON object");
  command->add_flag("--tensors", flags->tensors, "list the tensors");
  flags->model.Add(*command);
  command->callback([flags] {
    if (!flags->path.empty() && !flags->model.model.empty()) {
      throw UsageError{"--model is " + flags->model.model + " and the path is " + flags->path +
                       ", expected one model"};
    }
    const EngineOptions options = flags->model.PlannedOptions();
    const ModelInfo info =
        Engine::Inspect(flags->path.empty() ? flags->model.Path() : flags->path, options);
    TellDeviceNote(info.device_note, options.device);
    if (flags->json) {
      std::cout << Line(ModelJson(info)) << std::endl;
    } else {
      Print(info, flags->tensors);
    }
    FlushOutput();
  });
}

}  // namespace binocle::cli
