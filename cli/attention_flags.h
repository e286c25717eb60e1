// --attention, --composite-layers and --aligner of one request.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "binocle/attention.h"

namespace binocle::cli {

struct AttentionFlags {
  std::string attention;
  std::string composite_layers;
  std::string aligner;

  void Add(CLI::App& command);
  // UsageError for names that are none, Error about the option for layers that are none.
  AttentionOptions Get() const;
};

}  // namespace binocle::cli
