#include "cli/task_files.h"

#include <cstdlib>
#include <filesystem>

#include "binocle/error.h"
#include "binocle/eval_run.h"

namespace binocle::cli {
namespace {

namespace fs = std::filesystem;

bool IsPath(const std::string& task) {
  return task.find('/') != std::string::npos || task.ends_with(".json");
}

}  // namespace

std::string TasksFolder() {
  if (const char* path = std::getenv("BINOCLE_TASKS"); path != nullptr && *path != '\0')
    return path;
  std::error_code ignored;
  const fs::path bin = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path installed = bin / "../share/binocle/tasks";
  const fs::path built = bin / "../../../eval/tasks";  // build/<preset>/bin
  for (const fs::path& candidate : {installed, built}) {
    if (fs::is_directory(candidate, ignored))
      return fs::weakly_canonical(candidate, ignored).string();
  }
  throw Error(Code::kNotFound, "no tasks in " + installed.lexically_normal().string() + " or " +
                                   built.lexically_normal().string() +
                                   "; name a task by the path of its file");
}

std::string TaskFile(const std::string& task) {
  if (IsPath(task)) return task;
  const fs::path path = fs::path(TasksFolder()) / (task + ".json");
  std::error_code ignored;
  if (fs::exists(path, ignored)) return path.string();
  std::string names;
  for (const TaskInfo& info : ReadTaskInfos(TasksFolder()))
    names += (names.empty() ? "" : ", ") + info.name;
  throw Error(Code::kNotFound,
              "task " + task +
                  " does not come with Binocle, expected the path of a file or one of " + names);
}

}  // namespace binocle::cli
