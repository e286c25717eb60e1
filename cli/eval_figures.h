// Pictures to the samples that a report shows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "binocle/eval_report.h"
#include "cli/flags.h"

namespace binocle::cli {

// The pictures of samples out of the data's folder, and with a model what its answer looks at.
class EvalFigures {
 public:
  // Empty: no pictures. A folder in it with a task's name is that task's. NOT_FOUND where there is none.
  explicit EvalFigures(std::string data);

  std::vector<EvalFigure> Of(const EvalShownSample& sample) const;

 private:
  std::string data_;
};

}  // namespace binocle::cli
