// What became of a run, for people and programs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binocle/eval_run.h"
#include "cli/progress.h"

namespace binocle::cli {

enum class OutputForm : bool { kText, kJson };

// Prints it. Throws CANCELLED where the run was stopped, and FAILED_PRECONDITION where samples failed: what is in the files is right, and
// the exit status tells that it is not all. `command` begins the message.
void FinishEval(const std::string& command, const EvalResult& result, OutputForm form);

// "0.9829", "0.9829*" where it is not of all samples, "-" where there is none; and the line below a table that says what the star means.
std::string ScoreText(const std::optional<double>& score, bool incomplete);
std::string IncompleteText(const std::string& task, int64_t answered, int64_t samples,
                           int64_t incomplete_groups, const std::optional<int64_t>& unread_bytes);

// Progress on stderr: rate, time left, what the caches had, the score so far.
class EvalProgressLine {
 public:
  void Update(const EvalProgress& progress);
  void Finish() { line_.reset(); }

 private:
  std::unique_ptr<Progress> line_;
};

}  // namespace binocle::cli
