// The object `binocle` of a request body: what OpenAI's interface has no name for. Names are those of binocle/request.h.
//
//   {"top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "prompt_format": "chat", "grounding": true, "priority": 0,
//    "interventions": {"var": {"p": 0.6, "layers": "2-30"}, "guidance": {}}, "constraint": {"choices": ["yes", "no"]}}
//
// Everything here changes the answer, so members that are unknown are refused.
#pragma once

#include "binocle/explain.h"
#include "binocle/request.h"
#include "service/http/json_body.h"

namespace binocle::http {

// Ranges are left to the engine; throws for names and types.
void ReadBinocleOptions(const Fields& object, Request& out);

// {"layers": "2-5", "heads": [0, 3], "cosine": 0.9}
ExplainOptions ReadExplainOptions(const Fields& object);

}  // namespace binocle::http
