// The folder of an explanation: explanation.json and a PNG per word and picture.
#pragma once

#include "cli/explain_flags.h"
#include "cli/json_output.h"
#include "cli/new_file.h"

namespace binocle::cli {

class ExplanationFolder {
 public:
  // Made where it is not there; ALREADY_EXISTS for one that holds an explanation, or pictures that could have the names of ours, unless they
  // may be overwritten. The work is long, so this comes before it. `flags` outlive it.
  explicit ExplanationFolder(const ExplainFlags& flags);

  // Writes everything and prints tables or the report. `report`: the object of --json.
  void Write(const Explanation& explanation, Json report) const;

 private:
  const ExplainFlags& flags_;
  const NewFolder folder_;
};

}  // namespace binocle::cli
