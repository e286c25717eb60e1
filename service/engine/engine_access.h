// How other public functions of this library come to an engine's insides.
#pragma once

#include <functional>

#include "service/engine/generation.h"

namespace binocle {

class EngineAccess {
 public:
  // Calls `use` while no request runs on the engine.
  static void Use(Engine& engine, const std::function<void(const LoadedModel&)>& use);
};

}  // namespace binocle
