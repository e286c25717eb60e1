#include <iterator>
#include <utility>

#include "eval/scorer.h"

namespace binocle::eval {

std::vector<ScorerDefinition> AllScorers(const std::string& objects) {
  std::vector<ScorerDefinition> all;
  const auto add = [&](std::vector<ScorerDefinition> scorers) {
    std::move(scorers.begin(), scorers.end(), std::back_inserter(all));
  };
  add(TextScorers());
  add(YesNoScorers());
  add(ChoiceScorers());
  add(CaptionScorers(objects));
  return all;
}

}  // namespace binocle::eval
