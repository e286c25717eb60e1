// A ModelBackend over an Engine.
#pragma once

#include <memory>

#include "binocle/engine.h"
#include "service/common/model_backend.h"

namespace binocle {

// The engine is shared with whoever else of the program uses it.
std::shared_ptr<ModelBackend> MakeEngineBackend(std::shared_ptr<Engine> engine);

// An explanation has a weight for each token and visual token, several times over: INVALID_ARGUMENT where that would be too many.
void CheckExplanationSize(const Request& request, const ModelInfo& info);

}  // namespace binocle
