// Pictures that lie in the rows of a task's data (base64 in JSONL and TSV), for the samples that a report shows.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "eval/report/run_files.h"

namespace binocle::eval {

// By the hash that stands in RunSample::images. Those that the data has not any more, and those beyond 8 MiB or together 64 MiB, are left
// out. Nothing for tasks whose pictures are files. Throws NOT_FOUND where the task's files are not in `data`.
std::map<std::string, std::string> ReadRowPictures(const RunTask& task,
                                                   const std::vector<const RunSample*>& samples,
                                                   const std::string& data);

}  // namespace binocle::eval
