// An explanation as the page and other clients of /explain read it.
#pragma once

#include "binocle/explain.h"
#include "service/http/json_body.h"

namespace binocle::http {

// {"answer", "finish_reason", "usage", "rows", "cols", "layers", "heads",
//  "pictures": [{"width", "height", "rgb"}],            base64 of red, green, blue; what the leading tower saw, which maps cover exactly
//  "words": [{"text", "begin", "end", "grounding", "map"}],   begin and end: bytes of answer
//  "tokens": [{"id", "text", "visual_mass", "grounding"}],
//  "map": {"visual_mass", "patches": [[rows * cols], …]}}     per picture, row-major; empty: no row with a query gave a token
Json ExplanationJson(const Explanation& explanation);

}  // namespace binocle::http
