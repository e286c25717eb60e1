// Who answers a run's questions: an engine in this process, or a server.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "binocle/eval_run.h"
#include "cli/flags.h"
#ifdef BINOCLE_WITH_SERVERS
#include "cli/client_flags.h"
#endif

namespace binocle::cli {

struct Answerer {
  EvalAsk ask;
  EvalModel model;
  AttentionOptions attention;  // of every request
  std::string where;           // what else may change answers: a JSON object
};

struct AnswererFlags {
  ModelFlags model;
#ifdef BINOCLE_WITH_SERVERS
  ConnectionFlags connection;
#endif

  // Processes that are one answerer.
  int64_t ranks() const { return model.tensor_parallel; }
  void Add(CLI::App& command);
  // Refuses options of the one that does not answer. Throws UsageError.
  void Check(const CLI::App& command) const;
  // Loads the model, with room for so many requests that wait, or asks the server for its own. Ctrl-C ends what is under way while an
  // InterruptFlag lives.
  Answerer Get(int64_t concurrency) const;
};

}  // namespace binocle::cli
