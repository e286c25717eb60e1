#include "eval/run/task_samples.h"

#include <utility>

#include "core/error.h"
#include "eval/run/journal.h"

namespace binocle::eval {
namespace {

// Throws what a scorer has against the sample's own members.
void CheckScorable(const Task& task, const Sample& sample, const ScorerSet& scorers) {
  const Json line = AnswerLine(sample, "");
  for (const std::string& name : ScorersOf(task, sample)) scorers.Get(name).score(Fields(line));
}

}  // namespace

ScorerSet::ScorerSet(const Task& task) {
  for (ScorerDefinition& scorer : AllScorers(task.objects)) {
    const std::string name = scorer.info.name;
    scorers_.emplace(name, std::move(scorer));
  }
}

std::vector<std::string> ScorersOf(const Task& task, const Sample& sample) {
  const std::string& first = ScorerOf(task, sample);
  if (first.empty()) return {};
  std::vector<std::string> names = {first};
  if (&first == &task.scorer)
    names.insert(names.end(), task.also_scorers.begin(), task.also_scorers.end());
  return names;
}

TaskSamples::TaskSamples(const Task& task, const std::filesystem::path& folder,
                         const ScorerSet& scorers)
    : task_(task), scorers_(scorers), reader_(task, folder) {}

std::optional<NumberedSample> TaskSamples::Next() {
  while (auto sample = reader_.Next()) {
    try {
      CheckScorable(task_, *sample, scorers_);
      return NumberedSample{next_++, std::move(*sample)};
    } catch (const Error& error) {
      reader_.Refuse(*sample, error.message());
    }
  }
  return std::nullopt;
}

}  // namespace binocle::eval
