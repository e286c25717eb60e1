// Engine::Explain on a loaded model: one generation that is watched, what was seen put together, and faithfulness where it is asked for.
#pragma once

#include "binocle/explain.h"
#include "service/engine/engine_access.h"

namespace binocle {

// Throws what Engine::Explain throws; `request` has passed the checks of Engine::Generate.
Explanation ExplainRequest(const EngineAccess& engine, const Request& request,
                           const ExplainOptions& options, const Observer& observer);

}  // namespace binocle
