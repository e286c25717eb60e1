// The final files of a run, read back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "eval/yes_no.h"

namespace binocle::eval {

// One line of a samples file.
struct RunSample {
  std::string id;
  std::string place;
  std::string prompt;
  std::vector<std::string> images;
  int64_t group = 0;                // the same for samples with the same pictures, in a task
  std::vector<std::string> wanted;  // answer, references or objects
  std::optional<YesNo> wanted_yes_no;
  std::string together;  // what counts together has the same (member "group"); empty: alone
  int64_t options = 0;
  std::string category;
  std::vector<std::string> abilities;
  std::string answer_type;
  std::string doc_hash;

  std::optional<std::string> prediction;  // absent: it failed
  std::string error;                      // "CODE: message"
  bool cut_off = false;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  std::optional<double> score;           // of the scorer that counts, or the judge
  std::map<std::string, double> scores;  // by scorer
  Json found = Json::object();           // what the scorer that counts found, "parsed" and the like

  // wanted, in one line
  std::string Wanted() const;
};

struct RunTask {
  std::string name;
  Json about;  // binocle.tasks.NAME of the results
  std::vector<RunSample> samples;

  // Who decides: the scorer's name, or the judge's.
  std::string scorer() const;
};

struct RunFiles {
  std::string folder;  // as it was given
  std::string model;
  Json run;  // member "binocle" of the results, without its tasks
  std::vector<RunTask> tasks;
  // Of all processes, from the times beside the results, for each answer; absent where there are none.
  std::optional<double> seconds_per_answer;
};

// Throws NOT_FOUND where there is no folder or no results in it, FAILED_PRECONDITION where there are several, INVALID_ARGUMENT for
// results that are not ours, and DATA_LOSS, with the file and line, where what is in them does not fit together: samples that are missing
// or others, scores that do not come to the one of the results.
RunFiles ReadRunFiles(const std::string& folder);

}  // namespace binocle::eval
