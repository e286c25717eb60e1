// Pictures to the samples that a report shows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binocle/engine.h"
#include "binocle/eval_report.h"
#include "cli/flags.h"

namespace binocle::cli {

// The pictures of samples out of the data's folder, and with a model what an answer looks at: each sample is asked once more, at
// temperature 0 and with the run's prompt and interventions, and explained.
class EvalFigures {
 public:
  // Empty data: no pictures; a folder in it with a task's name is that task's. Throws NOT_FOUND where there is none. The model is loaded
  // with the first sample.
  EvalFigures(std::string data, std::optional<ModelFlags> model);

  // A sample that cannot be explained has a caption that says why. Throws CANCELLED where Ctrl-C was pressed, and what is wrong with the
  // model.
  std::vector<EvalFigure> Of(const EvalShownSample& sample);

 private:
  void Explain(const EvalShownSample& sample, const std::vector<ImageInput>& pictures,
               std::vector<EvalFigure>& figures);

  std::string data_;
  std::optional<ModelFlags> model_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace binocle::cli
