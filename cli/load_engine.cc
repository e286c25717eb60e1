#include "cli/load_engine.h"

#include <csignal>
#include <iostream>

#include "cli/commands.h"

namespace binocle::cli {

Engine LoadEngine(const std::string& path, const EngineOptions& options) {
  if (options.tensor_parallel.rank > 0) {
    // Launchers pass signals to all processes. Rank 0 ends what is under way as it should, and the others with it.
    Engine::Follow(path, options, [] {
      std::signal(SIGINT, SIG_IGN);
      std::signal(SIGTERM, SIG_IGN);
    });
    throw Followed{};
  }
  Engine engine = Engine::Load(path, options);
  const std::string& note = engine.info().device_note;
  if (!note.empty()) std::cerr << "binocle: --device " << options.device << ": " << note << '\n';
  return engine;
}

}  // namespace binocle::cli
