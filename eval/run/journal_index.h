// What a journal holds of which sample.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "binocle/eval_run.h"
#include "eval/run/journal.h"

namespace binocle::eval {

// The first line of a shard's journal.
OrderedJson JournalHead(const OrderedJson& run, const EvalShard& shard, int64_t samples);

class JournalIndex {
 public:
  enum class State : uint8_t { kOpen, kFailed, kAnswered };

  // `journal` has a first line. Throws DATA_LOSS for lines that are no samples of its run and samples that were answered twice. A sample
  // may fail any number of times before it is answered; what counts is its last line.
  explicit JournalIndex(const JournalFile& journal);

  const Json& run() const { return head_["run"]; }
  EvalShard shard() const;
  // How many samples the shard has, all tasks together.
  int64_t shard_samples() const;
  int64_t tasks() const { return std::ssize(entries_); }
  int64_t samples(size_t task) const { return std::ssize(entries_[task]); }
  State state(size_t task, size_t doc_id) const { return entries_[task][doc_id].state; }
  // The sample's line in the journal; it is not open.
  size_t line(size_t task, size_t doc_id) const { return entries_[task][doc_id].line; }
  // Of all tasks.
  int64_t Count(State state) const;

 private:
  struct Entry {
    State state = State::kOpen;
    size_t line = 0;
  };

  Json head_;
  std::vector<std::vector<Entry>> entries_;
};

}  // namespace binocle::eval
