// What is explained, how, and where the explanation goes: everything but the model.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "binocle/explain.h"
#include "cli/flags.h"
#include "cli/new_file.h"

namespace binocle::cli {

struct ExplainFlags {
  GenerationFlags generation;
  std::vector<std::string> images;
  std::string prompt;
  std::string out, layers, heads;
  ExplainOptions options;
  OverlayOptions overlay;
  FaithfulnessOptions faithfulness;
  bool measure = false;
  bool overwrite = false;
  bool json = false;

  void Add(CLI::App& command);

  // UsageError for what is missing; `command` is what an example begins with, "binocle explain".
  void Check(const std::string& command) const;
  Request MakeRequest() const;
  ExplainOptions MakeOptions() const;

  Overwrite may_overwrite() const { return overwrite ? Overwrite::kAllowed : Overwrite::kRefused; }
  std::string Path(const std::string& name) const { return out + "/" + name; }
};

}  // namespace binocle::cli
