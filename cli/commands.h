// The subcommands. Each adds its options to the application and runs as their callback.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace binocle::cli {

// A command line that cannot be understood: `message` begins with what is wrong ("--n is two, expected an integer").
struct UsageError {
  std::string message;
};

// The whole command is done, of a process that is not rank 0 of several (cli/load_engine.h).
struct Followed {};

void AddAsk(CLI::App& app);
void AddBench(CLI::App& app);
void AddCalibrate(CLI::App& app);
void AddChat(CLI::App& app);
void AddClient(CLI::App& app);  // where the servers are built
void AddConvert(CLI::App& app);
void AddEval(CLI::App& app);
void AddExplain(CLI::App& app);
void AddInspect(CLI::App& app);
void AddMakeRandom(CLI::App& app);
void AddParity(CLI::App& app);
void AddQuantize(CLI::App& app);
void AddServe(CLI::App& app);  // where the servers are built

}  // namespace binocle::cli
