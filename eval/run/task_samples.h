// The samples of a task that can be asked and scored, numbered.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval/samples.h"
#include "eval/scorer.h"

namespace binocle::eval {

// Scorers by name, as a task uses them.
class ScorerSet {
 public:
  explicit ScorerSet(const Task& task);
  // Of a name that is one: the tasks' parser has looked.
  const ScorerDefinition& Get(const std::string& name) const { return scorers_.at(name); }

 private:
  std::map<std::string, ScorerDefinition> scorers_;
};

// Whose scores a sample gets, the one that counts first; empty where a judge decides.
std::vector<std::string> ScorersOf(const Task& task, const Sample& sample);

struct NumberedSample {
  int64_t doc_id = 0;  // its place among the task's samples
  Sample sample;
};

// Reads like SampleReader. A row that one of its scorers would refuse, whatever the answer, is damaged as well, so that no answer is paid
// for and then lost.
class TaskSamples {
 public:
  // All must outlive this.
  TaskSamples(const Task& task, const std::filesystem::path& folder, const ScorerSet& scorers);

  std::optional<NumberedSample> Next();
  const Problems& problems() const { return reader_.problems(); }
  int64_t left_out() const { return reader_.left_out(); }

 private:
  const Task& task_;
  const ScorerSet& scorers_;
  SampleReader reader_;
  int64_t next_ = 0;
};

}  // namespace binocle::eval
