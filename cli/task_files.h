// Where the tasks that come with Binocle are.
#pragma once

#include <string>

namespace binocle::cli {

// $BINOCLE_TASKS if set; else beside the installed program (../share/binocle/tasks) or in the source tree of a build directory. Throws
// NOT_FOUND saying where it looked.
std::string TasksFolder();
// The file of a task: a path, which holds a slash or ends with ".json", or the name of one that comes with Binocle. Throws NOT_FOUND with the names.
std::string TaskFile(const std::string& task);

}  // namespace binocle::cli
