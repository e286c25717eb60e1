// binocle eval run: what tasks ask is asked of a model, and scored.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "binocle/eval_run.h"
#include "cli/commands.h"
#include "cli/eval_answerer.h"
#include "cli/eval_commands.h"
#include "cli/eval_output.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/json_output.h"
#include "cli/shard_flag.h"
#include "cli/task_files.h"

namespace binocle::cli {
namespace {

struct RunFlags {
  std::vector<std::string> tasks;
  EvalRun run;
  int64_t limit = 0;
  std::string shard;
  AnswererFlags answerer;
  GenerationFlags generation;
  bool json = false;
};

// What requests have in common, and what else may change an answer.
void FillRequest(const RunFlags& flags, const CLI::App& command, EvalRun& run) {
  const GenerationOptions& generation = flags.generation.generation;
  run.request = flags.generation.Defaults();
  run.exif = !flags.generation.no_exif;
  if (command.count("--max-new-tokens") > 0) run.max_new_tokens = generation.max_new_tokens;
  if (command.count("--temperature") > 0) run.temperature = generation.temperature;
  if (command.count("--stop") > 0) run.stop = generation.stop;
}

void FillAnswerer(const RunFlags& flags, const Answerer& answerer, EvalRun& run) {
  run.model = answerer.model;
  run.request.attention = answerer.attention;
  const Json settings = {
      {"engine", Json::parse(answerer.where)},
      {"interventions", InterventionsJson(flags.generation.interventions.interventions)}};
  run.settings = settings.dump();
}

EvalObserver Observing(EvalProgressLine& line) {
  return {.on_progress = [&](const EvalProgress& progress) { line.Update(progress); },
          .on_note = [](const std::string& note) { std::cerr << note << std::endl; },
          .keep_going = [] { return !InterruptFlag::raised(); }};
}

void Run(const RunFlags& flags, const CLI::App& command) {
  if (flags.tasks.empty())
    throw UsageError{"the task is missing, expected a name (binocle eval list) or a path"};
  if (flags.run.data.empty()) throw UsageError{"--data is missing, expected the data's folder"};
  if (flags.run.out.empty()) throw UsageError{"--out is missing, expected a folder"};
  flags.answerer.Check(command);
  for (const char* own : {"--choices", "--regex", "--json-schema"}) {
    if (flags.run.task_constraint && command.count(own) > 0)
      throw UsageError{std::string(own) + " and --task-constraint each say what answers may be"};
  }
  EvalRun run = flags.run;
  if (command.count("--limit") > 0) run.limit = flags.limit;
  const ShardChoice shard = ChooseShard(flags.shard, flags.answerer.ranks());
  run.shard = shard.shard;
  FillRequest(flags, command, run);
  for (const std::string& task : flags.tasks) run.tasks.push_back(TaskFile(task));
  if (!shard.from.empty())
    std::cerr << "shard " << run.shard.index << "/" << run.shard.count << ", says " << shard.from
              << std::endl;

  const InterruptFlag interrupt(InterruptFlag::Again::kEnds);
  const Answerer answerer = flags.answerer.Get(run.concurrency);
  FillAnswerer(flags, answerer, run);
  EvalProgressLine line;
  const EvalResult result = RunEval(run, answerer.ask, Observing(line));
  line.Finish();
  FinishEval("eval run", result, flags.json ? OutputForm::kJson : OutputForm::kText);
}

// Tasks say how long answers are; the options change that.
void TellDefaults(CLI::App& command) {
  for (const char* name : {"--max-new-tokens", "--temperature", "--stop"}) {
    CLI::Option* option = command.get_option(name);
    option->description(option->get_description() + " (default: the task's)")->default_str("");
  }
}

void AddOptions(CLI::App& command, RunFlags& flags) {
  const auto text = [&](const char* name, std::string& value, const char* what,
                        const char* expected) {
    command.add_option(name, value, what)->check(NotEmpty(name, expected));
  };
  command
      .add_option("task", flags.tasks,
                  "names of binocle eval list, or paths of task files; several are one run")
      ->check(NotEmpty("the task", "a name or a path"));
  text("--data", flags.run.data,
       "the data's folder; a folder in it with a task's name is that task's", "a path");
  text("--out", flags.run.out, "where journal and results go; what is there goes on", "a path");
  command.add_flag("--fresh", flags.run.fresh,
                   "throw away what an earlier run left, and begin anew");
  text("--prompt", flags.run.prompt,
       "a prompt of the task's (default: the model family's, or default)", "a name");
  command.add_option("--limit", flags.limit, "the first so many samples of each task")
      ->check(IsInteger("--limit"));
  text("--shard", flags.shard,
       "I/N: part I of N, from 0 on (default: what Slurm, Open MPI or a Kubernetes Job say)",
       "I/N");
  command.add_option("--concurrency", flags.run.concurrency, "requests at a time")
      ->check(IsInteger("--concurrency"))
      ->capture_default_str();
  command.add_flag("--task-constraint", flags.run.task_constraint,
                   "hold answers to what the task says they may be; published scores are without");
  command.add_flag("--json", flags.json, "print one JSON object");
  flags.generation.Add(command);
  TellDefaults(command);
  flags.answerer.Add(command);
}

}  // namespace

void AddEvalRun(CLI::App& eval) {
  CLI::App* command = eval.add_subcommand("run", "Ask a model what tasks ask, and score it");
  const auto flags = std::make_shared<RunFlags>();
  AddOptions(*command, *flags);
  command->callback([flags, command] { Run(*flags, *command); });
}

}  // namespace binocle::cli
