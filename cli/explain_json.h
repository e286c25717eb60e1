// An explanation as JSON.
#pragma once

#include <string>
#include <vector>

#include "binocle/explain.h"
#include "cli/json_output.h"

namespace binocle::cli {

// The PNG files of an explanation: names within its folder, one per picture.
struct OverlayNames {
  std::vector<std::string> answer;
  std::vector<std::vector<std::string>> words;

  bool Has(const std::string& name) const;
};

// Field by field the structs of binocle/explain.h, under their names; what is absent there is null here.
Json ExplanationJson(const Explanation& explanation, const OverlayNames& overlays);

}  // namespace binocle::cli
