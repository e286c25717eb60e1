// What became of a run, for people and programs.
#pragma once

#include <memory>
#include <string>

#include "binocle/eval_run.h"
#include "cli/progress.h"

namespace binocle::cli {

enum class OutputForm : bool { kText, kJson };

// Prints it. Throws CANCELLED where the run was stopped, and FAILED_PRECONDITION where samples failed: what is in the files is right, and the
// exit status tells that it is not all. `command` begins the message.
void FinishEval(const std::string& command, const EvalResult& result, OutputForm form);

// Progress on stderr: rate, time left, what the caches had, the score so far.
class EvalProgressLine {
 public:
  void Update(const EvalProgress& progress);
  void Finish() { line_.reset(); }

 private:
  std::unique_ptr<Progress> line_;
};

}  // namespace binocle::cli
