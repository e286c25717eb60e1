// Options that several commands share. Names and meanings are those of the public structs.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "binocle/engine.h"
#include "binocle/error.h"
#include "cli/constraint_flags.h"
#include "cli/intervention_flags.h"

namespace binocle::cli {

// --model and where and how it runs.
struct ModelFlags {
  std::string model;  // empty: the default model
  EngineOptions options;
  std::string memory_limit;
  std::string image_cache;
  std::string max_queued_bytes;
  int64_t tensor_parallel = 1;

  void Add(CLI::App& command);
  // How many requests run and wait side by side.
  void AddBatching(CLI::App& command);
  std::string Path() const;
  EngineOptions Options() const;
  // The same for a look at a plan: of rank 0 where nobody has started several processes.
  EngineOptions PlannedOptions() const;

 private:
  EngineOptions OfOneProcess() const;
};

// How pictures are read and answers generated.
struct GenerationFlags {
  GenerationOptions generation;
  std::string prompt_format = "chat";
  std::optional<std::string> system;
  bool no_exif = false;
  bool grounding = false;
  ConstraintFlags constraint;
  InterventionFlags interventions;

  void Add(CLI::App& command);
  // A request without messages. Throws for values outside their range and for options that contradict each other.
  Request Defaults() const;
  ImageInput Picture(const std::string& path) const;
};

// Refuses an empty value, which an unset variable of a shell leaves: "--image is empty, expected a path".
CLI::Validator NotEmpty(const std::string& name, const std::string& expected);

// Refuses what is no decimal integer of 64 bits: "--rounds is two, expected an integer of 64 bits".
CLI::Validator IsInteger(const std::string& option);
// The same for integers from 0 to 2⁶⁴ − 1.
CLI::Validator IsSeed(const std::string& option);

// The same for numbers with a point: "--budget is two, expected a number".
CLI::Validator IsReal(const std::string& option);

// What an error about an option says, with the option as it is typed: max_new_tokens is --max-new-tokens.
std::string AsTyped(const Error& error);

// "512M", "2.5GiB", "1000000"; throws UsageError naming `option`.
int64_t ParseBytes(const std::string& text, const std::string& option);
// "chat", "raw".
std::optional<PromptFormat> ParsePromptFormat(const std::string& name);

}  // namespace binocle::cli
