#include <iterator>
#include <utility>

#include "eval/scorer.h"

namespace binocle::eval {

std::vector<ScorerDefinition> AllScorers() {
  std::vector<ScorerDefinition> all;
  for (auto* kind : {TextScorers, YesNoScorers, ChoiceScorers, CaptionScorers}) {
    std::vector<ScorerDefinition> scorers = kind();
    std::move(scorers.begin(), scorers.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace binocle::eval
