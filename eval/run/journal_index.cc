#include "eval/run/journal_index.h"

#include <algorithm>

#include "core/error.h"

namespace binocle::eval {
namespace {

constexpr int64_t kMaxSamples = int64_t{1} << 26;  // of a task; what each costs is 16 bytes

[[noreturn]] void Fail(const JournalFile& journal, size_t line, const std::string& what) {
  Throw(Code::kDataLoss, journal.Place(line), ": ", what);
}

}  // namespace

OrderedJson JournalHead(const OrderedJson& run, const EvalShard& shard, int64_t samples) {
  return {{"run", run},
          {"shard", {{"index", shard.index}, {"count", shard.count}, {"samples", samples}}}};
}

JournalIndex::JournalIndex(const JournalFile& journal) : head_(journal.Parse(0)) {
  try {
    const JsonObject head(head_, journal.Place(0));
    if (head.Object("run").Int("format", 0, 1 << 20) != 1)
      Fail(journal, 0, "is of another format, expected format 1");
    shard_samples();
    shard();
    for (const Json& task : run().at("tasks")) {
      const int64_t samples = JsonObject(task, journal.Place(0)).Int("samples", 1, kMaxSamples);
      entries_.emplace_back(static_cast<size_t>(samples));
    }
  } catch (const Json::exception& e) {
    Fail(journal, 0, std::string("is no head of a journal: ") + e.what());
  }
  for (size_t line = 1; line < journal.lines(); ++line) {
    const Json record = journal.Parse(line);
    const JsonObject object(record, journal.Place(line));
    const auto task = static_cast<size_t>(object.Int("task", 0, tasks() - 1));
    const auto doc_id = static_cast<size_t>(object.Int("doc_id", 0, samples(task) - 1));
    Entry& entry = entries_[task][doc_id];
    if (entry.state == State::kAnswered)
      Fail(journal, line,
           "sample " + object.String("id") + " was answered in line " +
               std::to_string(entry.line + 1) + " already");
    entry = {object.Has("error") ? State::kFailed : State::kAnswered, line};
  }
}

EvalShard JournalIndex::shard() const {
  const Json& shard = head_.at("shard");
  return {.index = shard.at("index").get<int64_t>(), .count = shard.at("count").get<int64_t>()};
}

int64_t JournalIndex::shard_samples() const {
  return head_.at("shard").at("samples").get<int64_t>();
}

int64_t JournalIndex::Count(State state) const {
  int64_t count = 0;
  for (const std::vector<Entry>& task : entries_)
    count += std::count_if(task.begin(), task.end(),
                           [&](const Entry& entry) { return entry.state == state; });
  return count;
}

}  // namespace binocle::eval
