#include "cli/eval_resampling.h"

#include "cli/flags.h"

namespace binocle::cli {

void AddResampling(CLI::App& command, EvalResampling& resampling) {
  command
      .add_option("--resamples", resampling.resamples,
                  "draws of the bootstrap that intervals are from")
      ->check(IsInteger("--resamples"))
      ->capture_default_str();
  command.add_option("--seed", resampling.seed, "of these draws")
      ->check(IsInteger("--seed"))
      ->capture_default_str();
}

Json IntervalJson(const std::optional<EvalInterval>& interval) {
  if (!interval) return nullptr;
  return {{"value", interval->value}, {"low", interval->low}, {"high", interval->high}};
}

}  // namespace binocle::cli
