// Task files in short.
#include <utility>

#include "binocle/eval_run.h"
#include "eval/task.h"

namespace binocle {
namespace {

TaskInfo InfoOf(const eval::Task& task, const std::string& path) {
  TaskInfo info{.path = path,
                .name = task.name,
                .version = task.version,
                .description = task.description,
                .homepage = task.homepage,
                .how_to_get = task.how_to_get,
                .data_format = std::string(eval::DataFormatName(task.data.format)),
                .files = task.data.files,
                .scorer = task.scorer,
                .also_scorers = task.also_scorers,
                .open_scorer = task.open ? task.open->scorer : "",
                .judge = task.judge,
                .choice_judge = task.choice_judge,
                .objects = task.objects_file,
                .max_new_tokens = task.generation.max_new_tokens,
                .temperature = task.generation.temperature,
                .stop = task.generation.stops};
  info.files.insert(info.files.end(), task.data.annotations.begin(), task.data.annotations.end());
  for (const auto& [name, prompt] : task.prompts)
    info.prompts.push_back({name, prompt.text.text(), prompt.source});
  if (task.open)
    info.prompts.push_back(
        {"without_options", task.open->prompt.text.text(), task.open->prompt.source});
  return info;
}

}  // namespace

TaskInfo ReadTaskInfo(const std::string& path) { return InfoOf(eval::ReadTask(path), path); }

std::vector<TaskInfo> ReadTaskInfos(const std::string& folder) {
  std::vector<TaskInfo> infos;
  for (const eval::Task& task : eval::ReadTasks(folder))
    infos.push_back(InfoOf(task, (std::filesystem::path(folder) / (task.name + ".json")).string()));
  return infos;
}

}  // namespace binocle
