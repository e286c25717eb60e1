// The subcommands. Each adds its options to the application and runs as their callback.
#pragma once

namespace CLI {
class App;
}

namespace binocle::cli {

// Thrown to end the program with a status after everything has been reported.
struct ExitWith {
  int status;
};

void AddAsk(CLI::App& app);
void AddChat(CLI::App& app);
void AddInspect(CLI::App& app);

}  // namespace binocle::cli
