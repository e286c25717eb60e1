// binocle eval: benchmarks.
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/eval_commands.h"

namespace binocle::cli {

void AddEval(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("eval", "Run benchmarks, and score answers by their rules");
  command->require_subcommand(0, 1);
  command->callback([command] {
    if (command->get_subcommands().empty())
      throw UsageError{
          "what to evaluate is missing, expected run, merge, judge, report, compare, list, "
          "describe, score or scorers"};
  });
  AddEvalRun(*command);
  AddEvalMerge(*command);
  AddEvalJudge(*command);
  AddEvalReport(*command);
  AddEvalCompare(*command);
  AddEvalList(*command);
  AddEvalDescribe(*command);
  AddEvalScore(*command);
  AddEvalScorers(*command);
}

}  // namespace binocle::cli
