#include "cli/load_engine.h"

#include <iostream>

namespace binocle::cli {

Engine LoadEngine(const std::string& path, const EngineOptions& options) {
  Engine engine = Engine::Load(path, options);
  const std::string& note = engine.info().device_note;
  if (!note.empty()) std::cerr << "binocle: --device " << options.device << ": " << note << '\n';
  return engine;
}

}  // namespace binocle::cli
