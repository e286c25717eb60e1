#include "cli/load_engine.h"

#include <csignal>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/device_note.h"
#include "cli/process_variables.h"

namespace binocle::cli {

namespace {

// Launchers pass signals to all processes. Rank 0 ends what is under way as it should, and the others with it; a second signal is for those that are to end now.
void EndAtTheSecond(int) {
  static volatile std::sig_atomic_t signals = 0;
  signals = signals + 1;
  if (signals > 1) std::_Exit(1);
}

void Follow(const std::string& path, const EngineOptions& options) {
  // Before it meets the others: of those who have no GPU one that has is none.
  if (options.device != "cpu")
    TellDeviceNote(Engine::Inspect(path, options).device_note, options.device);
  Engine::Follow(path, options, [] {
    std::signal(SIGINT, EndAtTheSecond);
    std::signal(SIGTERM, EndAtTheSecond);
  });
}

// Where nobody has said where rank 0 is, and it is not on this machine, that is what is missing.
void TellAddress(const Error& error, const TensorParallel& parallel) {
  if (error.code() != Code::kUnavailable || parallel.address != TensorParallel().address ||
      Variable("MASTER_ADDR"))
    throw;
  const std::string message = error.message();
  if (message.find("did not listen at") == std::string::npos &&
      message.find("did not come to") == std::string::npos)
    throw;
  throw Error(error.code(), message + "; MASTER_ADDR, which says where rank 0 is, is not set");
}

}  // namespace

Engine LoadEngine(const std::string& path, const EngineOptions& options) {
  try {
    if (options.tensor_parallel.rank > 0) {
      Follow(path, options);
      throw Followed{};
    }
    Engine engine = Engine::Load(path, options);
    TellDeviceNote(engine.info().device_note, options.device);
    return engine;
  } catch (const Error& error) {
    if (options.tensor_parallel.ranks > 1) TellAddress(error, options.tensor_parallel);
    throw;
  }
}

}  // namespace binocle::cli
