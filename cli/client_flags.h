// Where the server is, who asks, and how long it may take.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "binocle/client.h"

namespace binocle::cli {

struct ConnectionFlags {
  ClientOptions options;
  std::string token_file;
  double timeout = 120;  // seconds

  void Add(CLI::App& command);
  // Where a server is one of the things that may answer: without --server there is none (`options.target` is empty), and --model is an
  // option of the command.
  void AddAsChoice(CLI::App& command);
  // Connects with the first call.
  Client Connect() const;
  // A call that Ctrl-C cancels; an InterruptFlag lives meanwhile.
  CallOptions Call() const;

 private:
  void AddTransport(CLI::App& command);
};

}  // namespace binocle::cli
