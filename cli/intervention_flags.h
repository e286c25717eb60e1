// --var, --modulate, --pai, --guidance and --vcd: "p=0.6,rho=0.5,layers=2-30". The same texts serve in request lines.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "binocle/interventions.h"
#include "cli/json_output.h"

namespace binocle::cli {

inline constexpr std::string_view kInterventionNames[] = {"var", "modulate", "pai", "guidance",
                                                          "vcd"};

// Sets the intervention called `name` from its text; an empty text takes every default. Throws INVALID_ARGUMENT about the option `name`.
void SetIntervention(const std::string& name, const std::string& text, Interventions& out);
// Turns the intervention called `name` off.
void ClearIntervention(const std::string& name, Interventions& out);

// {"var": {"p": 0.6, …}}: those that are on, with every value.
Json InterventionsJson(const Interventions& interventions);

struct InterventionFlags {
  Interventions interventions;

  void Add(CLI::App& command);
};

}  // namespace binocle::cli
