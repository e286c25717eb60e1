// --choices, --regex and --json-schema: what an answer may be (docs/constraints.md).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "binocle/request.h"

namespace binocle::cli {

struct ConstraintFlags {
  std::vector<std::string> choices;
  std::string regex;
  std::string json_schema;  // the schema, or @FILE

  void Add(CLI::App& command);
  // UsageError for more than one of them; NOT_FOUND for a file that cannot be read.
  Constraint Get() const;
};

}  // namespace binocle::cli
