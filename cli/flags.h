// Options that several commands share. Names and meanings are those of the public structs.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "binocle/engine.h"

namespace binocle::cli {

// --model and where and how it runs.
struct ModelFlags {
  std::string model;  // empty: the default model
  EngineOptions options;
  std::string memory_limit;

  void Add(CLI::App& command);
  std::string Path() const;
  EngineOptions Options() const;
};

// How answers are generated.
struct GenerationFlags {
  GenerationOptions generation;
  std::string prompt_format = "chat";
  std::optional<std::string> system;
  bool no_exif = false;

  void Add(CLI::App& command);
  // Puts everything into a request.
  void Apply(Request& request) const;
};

// "512M", "2.5GiB", "1000000"; throws INVALID_ARGUMENT naming `option`.
int64_t ParseBytes(const std::string& text, const std::string& option);
PromptFormat ParsePromptFormat(const std::string& name);

}  // namespace binocle::cli
