// An explanation as text for people.
#pragma once

#include <string>

#include "cli/explain_json.h"

namespace binocle::cli {

// Words with their maps, sinks by place, image-centric heads by layer, and faithfulness where it was measured.
std::string ExplanationReport(const Explanation& explanation, const OverlayNames& overlays);

}  // namespace binocle::cli
