// How other public functions of this library come to an engine's insides.
#pragma once

#include <functional>
#include <memory>

#include "service/engine/live_request.h"

namespace binocle {

class EngineAccess {
 public:
  // `engine` must outlive this.
  explicit EngineAccess(Engine& engine) : engine_(engine) {}

  LoadedModel loaded() const;
  // Runs a request with hooks, and waits.
  Response Run(std::unique_ptr<PreparedRequest> prepared, const Observer& observer,
               RequestHooks hooks) const;
  // Calls `use` between two steps, on the engine's thread, and waits: there it may use everything of loaded(), but for pages. Throws what it throws.
  void Use(const std::function<void()>& use) const;

 private:
  Engine& engine_;
};

}  // namespace binocle
