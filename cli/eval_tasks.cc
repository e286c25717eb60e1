// binocle eval list, describe: the tasks that there are.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "binocle/eval_run.h"
#include "cli/commands.h"
#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/output.h"
#include "cli/task_files.h"

namespace binocle::cli {
namespace {

// Who gives a task's scores, in a word.
std::string ScoredBy(const TaskInfo& task) {
  return task.judge.empty() ? task.scorer : "judge " + task.judge;
}

std::string CommaSeparated(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

Json TaskJson(const TaskInfo& task) {
  Json prompts = Json::object();
  for (const TaskPrompt& prompt : task.prompts)
    prompts[prompt.name] = {{"text", prompt.text}, {"source", prompt.source}};
  return {{"name", task.name},
          {"version", task.version},
          {"description", task.description},
          {"homepage", task.homepage},
          {"path", task.path},
          {"data",
           {{"format", task.data_format}, {"files", task.files}, {"how_to_get", task.how_to_get}}},
          {"prompts", prompts},
          {"scorer", task.scorer},
          {"also_scorers", task.also_scorers},
          {"open_scorer", task.open_scorer},
          {"judge", task.judge},
          {"choice_judge", task.choice_judge},
          {"objects", task.objects},
          {"generation",
           {{"max_new_tokens", task.max_new_tokens},
            {"temperature", task.temperature},
            {"stop", task.stop}}}};
}

void ListTasks(bool json) {
  const std::vector<TaskInfo> tasks = ReadTaskInfos(TasksFolder());
  if (json) {
    Json list = Json::array();
    for (const TaskInfo& task : tasks)
      list.push_back({{"name", task.name},
                      {"version", task.version},
                      {"description", task.description},
                      {"scorer", task.scorer},
                      {"judge", task.judge},
                      {"path", task.path}});
    std::cout << Line({{"tasks", list}}) << '\n';
  } else {
    for (const TaskInfo& task : tasks)
      std::printf("%-18s %-18s %s\n", task.name.c_str(), ScoredBy(task).c_str(),
                  task.description.c_str());
  }
  FlushOutput();
}

void PrintMember(const char* name, const std::string& value) {
  if (!value.empty()) std::printf("%-16s %s\n", name, value.c_str());
}

// A text in which line ends stay visible: "{question}\nAnswer with one word."
std::string Quoted(const std::string& text) { return Line(Json(text)); }

void PrintTask(const TaskInfo& task) {
  PrintMember("task", task.name + ", version " + task.version);
  PrintMember("", task.description);
  PrintMember("homepage", task.homepage);
  PrintMember("file", task.path);
  PrintMember("data", task.data_format + ": " + CommaSeparated(task.files));
  PrintMember("how to get it", task.how_to_get);
  PrintMember("scored by", ScoredBy(task));
  PrintMember("beside it", CommaSeparated(task.also_scorers));
  PrintMember("unread answers", task.choice_judge.empty() ? "" : "judge " + task.choice_judge);
  PrintMember("objects", task.objects);
  PrintMember("without options", task.open_scorer);
  PrintMember("max_new_tokens", std::to_string(task.max_new_tokens));
  if (task.temperature != 0) PrintMember("temperature", Json(task.temperature).dump());
  for (const std::string& stop : task.stop) PrintMember("stop", Quoted(stop));
  for (const TaskPrompt& prompt : task.prompts) {
    PrintMember("prompt", prompt.name + " (" + prompt.source + ")");
    PrintMember(" ", Quoted(prompt.text));
  }
}

}  // namespace

void AddEvalList(CLI::App& eval) {
  CLI::App* command = eval.add_subcommand("list", "List the tasks that come with Binocle");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print one JSON object");
  command->callback([json] { ListTasks(*json); });
}

void AddEvalDescribe(CLI::App& eval) {
  CLI::App* command =
      eval.add_subcommand("describe", "What a task asks, how it is scored, where its data is");
  const auto name = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  command->add_option("task", *name, "a name of binocle eval list, or the path of a task file")
      ->check(NotEmpty("the task", "a name or a path"));
  command->add_flag("--json", *json, "print one JSON object");
  command->callback([name, json] {
    if (name->empty())
      throw UsageError{"the task is missing, expected a name (binocle eval list) or a path"};
    const TaskInfo task = ReadTaskInfo(TaskFile(*name));
    if (*json) {
      std::cout << Line(TaskJson(task)) << '\n';
    } else {
      PrintTask(task);
    }
    FlushOutput();
  });
}

}  // namespace binocle::cli
