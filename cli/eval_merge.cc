// binocle eval merge, judge: the files of a run from its shards, and with a judge's verdicts.
#include <CLI/CLI.hpp>
#include <memory>

#include "binocle/eval_run.h"
#include "cli/commands.h"
#include "cli/eval_commands.h"
#include "cli/eval_output.h"
#include "cli/flags.h"

namespace binocle::cli {
namespace {

struct MergeFlags {
  std::vector<std::string> from;
  std::string out;
  bool json = false;

  OutputForm form() const { return json ? OutputForm::kJson : OutputForm::kText; }
};

struct JudgeFlags {
  std::string task;
  std::string verdicts;
  std::string out;
  bool json = false;

  OutputForm form() const { return json ? OutputForm::kJson : OutputForm::kText; }
};

}  // namespace

void AddEvalMerge(CLI::App& eval) {
  CLI::App* command = eval.add_subcommand("merge", "Put the shards of a run together");
  const auto flags = std::make_shared<MergeFlags>();
  command->add_option("from", flags->from, "journals of shards, or folders that hold them")
      ->check(NotEmpty("the shards", "paths"));
  command
      ->add_option("--out", flags->out, "where the results go (default: the one folder of shards)")
      ->check(NotEmpty("--out", "a path"));
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    if (flags->from.empty())
      throw UsageError{"the shards are missing, expected folders or journals"};
    if (flags->out.empty() && flags->from.size() > 1)
      throw UsageError{"--out is missing, expected a folder: the shards are in several places"};
    const std::string out = flags->out.empty() ? flags->from[0] : flags->out;
    FinishEval("eval merge", MergeEval(flags->from, out), flags->form());
  });
}

void AddEvalJudge(CLI::App& eval) {
  CLI::App* command = eval.add_subcommand("judge", "Take a judge's verdicts on a task's answers");
  const auto flags = std::make_shared<JudgeFlags>();
  command->add_option("task", flags->task, "the task's name")
      ->check(NotEmpty("the task", "a name"));
  command
      ->add_option(
          "--verdicts", flags->verdicts,
          "JSONL file, {\"id\", \"score\"} a line with a score of 0 to 1, for every answer; for "
          "answers that no scorer can read, {\"id\", \"choice\"} with a letter or null")
      ->check(NotEmpty("--verdicts", "a path"));
  command->add_option("--out", flags->out, "the run's folder")->check(NotEmpty("--out", "a path"));
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] {
    if (flags->task.empty()) throw UsageError{"the task is missing, expected its name"};
    if (flags->verdicts.empty()) throw UsageError{"--verdicts is missing, expected a file"};
    if (flags->out.empty()) throw UsageError{"--out is missing, expected the run's folder"};
    FinishEval("eval judge", JudgeEval(flags->out, flags->task, flags->verdicts), flags->form());
  });
}

}  // namespace binocle::cli
