// A ModelBackend over an Engine.
#pragma once

#include <memory>

#include "binocle/engine.h"
#include "service/grpc/model_backend.h"

namespace binocle {

// The engine is shared with whoever else of the program uses it.
std::shared_ptr<ModelBackend> MakeEngineBackend(std::shared_ptr<Engine> engine);

// Vectors of one picture from its visual tokens. UNIMPLEMENTED for poolings that visual tokens do not give.
Vectors PoolVisualTokens(const Embedding& tokens, Pooling pooling, bool normalize);

}  // namespace binocle
