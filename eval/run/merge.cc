// MergeEval: the journals of all shards as one, then its files.
#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "binocle/eval_run.h"
#include "core/error.h"
#include "eval/run/final_files.h"
#include "eval/run/journal.h"
#include "eval/run/journal_index.h"
#include "eval/run/names.h"
#include "eval/run/whole_file.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;
using eval::JournalFile;
using eval::JournalIndex;
using State = JournalIndex::State;

struct ShardJournal {
  explicit ShardJournal(const fs::path& path) : file(path) {
    if (file.lines() == 0)
      Throw(Code::kFailedPrecondition, file.path(), ": has no line yet, expected a finished shard");
    index = std::make_unique<JournalIndex>(file);
  }

  JournalFile file;
  std::unique_ptr<JournalIndex> index;
};

std::string NameOf(const EvalShard& shard) {
  return std::to_string(shard.index) + "/" + std::to_string(shard.count);
}

// One of a whole run is what a merge writes.
bool IsShardJournal(const std::string& name) {
  return eval::ShardsOfJournal(name).value_or(1) != 1;
}

std::vector<fs::path> JournalsIn(const std::vector<std::string>& from) {
  std::vector<fs::path> paths;
  for (const std::string& name : from) {
    std::error_code error;
    if (!fs::is_directory(name, error)) {
      paths.emplace_back(name);
      continue;
    }
    std::vector<fs::path> found;
    for (fs::directory_iterator entry(name, error), end; !error && entry != end;
         entry.increment(error)) {
      if (IsShardJournal(entry->path().filename().string())) found.push_back(entry->path());
    }
    if (error) Throw(Code::kNotFound, name, ": ", error.message());
    if (found.empty())
      Throw(Code::kNotFound, name,
            ": holds no journal of a shard, expected journal_0_of_2.jsonl and the like");
    std::sort(found.begin(), found.end());
    paths.insert(paths.end(), found.begin(), found.end());
  }
  if (paths.empty()) ThrowInvalid("nothing to merge, expected journals or folders of them");
  return paths;
}

// Of one run, each shard once and none missing. Returns them by index.
std::map<int64_t, const ShardJournal*> CheckShards(
    const std::vector<std::unique_ptr<ShardJournal>>& journals) {
  const ShardJournal& first = *journals[0];
  const int64_t count = first.index->shard().count;
  std::map<int64_t, const ShardJournal*> shards;
  for (const auto& journal : journals) {
    const EvalShard shard = journal->index->shard();
    if (shard.count != count)
      Throw(Code::kFailedPrecondition, journal->file.path(), ": is shard ", NameOf(shard),
            ", expected one of ", count, " as ", first.file.path(), " is");
    if (journal->index->run() != first.index->run())
      Throw(Code::kFailedPrecondition, journal->file.path(), ": is of another run than ",
            first.file.path(), ": ", eval::DifferenceOf(journal->index->run(), first.index->run()));
    const auto [at, is_new] = shards.emplace(shard.index, journal.get());
    if (!is_new)
      Throw(Code::kFailedPrecondition, journal->file.path(), ": is shard ", NameOf(shard),
            ", which ", at->second->file.path(), " is as well");
  }
  std::string missing;
  for (int64_t i = 0; i < count; ++i) {
    if (!shards.contains(i)) missing += (missing.empty() ? "" : ", ") + NameOf({i, count});
  }
  if (!missing.empty()) Throw(Code::kFailedPrecondition, "shards are missing: ", missing);
  return shards;
}

void CheckFinished(const ShardJournal& shard) {
  const int64_t open = shard.index->shard_samples() - shard.index->Count(State::kAnswered) -
                       shard.index->Count(State::kFailed);
  if (open > 0)
    Throw(Code::kFailedPrecondition, shard.file.path(), ": shard ", NameOf(shard.index->shard()),
          " is not finished, ", open, " of ", shard.index->shard_samples(),
          " samples are missing; run it once more");
}

// The one line that the shards have of each sample, in the order of the data.
void WriteJournal(const std::map<int64_t, const ShardJournal*>& shards, const fs::path& path) {
  const JournalIndex& any = *shards.begin()->second->index;
  int64_t samples = 0;
  for (const auto& [i, shard] : shards) samples += shard->index->shard_samples();
  eval::WholeFile out(path);
  // In the order of the members that the shards' heads have, as a run without shards writes them.
  auto head = OrderedJson::parse(shards.begin()->second->file.line(0));
  out.Write(eval::Sealed(eval::JournalHead(head["run"], {}, samples)) + "\n");
  for (size_t task = 0; task < static_cast<size_t>(any.tasks()); ++task) {
    for (size_t doc_id = 0; doc_id < static_cast<size_t>(any.samples(task)); ++doc_id) {
      const ShardJournal* owner = nullptr;
      for (const auto& [i, shard] : shards) {
        if (shard->index->state(task, doc_id) == State::kOpen) continue;
        if (owner != nullptr)
          Throw(Code::kFailedPrecondition, shard->file.Place(shard->index->line(task, doc_id)),
                ": the sample is in ", owner->file.path(), " as well: shards overlap");
        owner = shard;
      }
      if (owner == nullptr)
        Throw(Code::kFailedPrecondition, "sample ", doc_id, " of task ",
              any.run().at("tasks")[task].at("task").get<std::string>(), " is in no shard");
      out.Write(owner->file.line(owner->index->line(task, doc_id)));
      out.Write("\n");
    }
  }
  out.Commit();
}

// The journal of a whole run that is there already: nobody may be writing it, and it must be of this run. Else nothing.
std::unique_ptr<eval::Journal> TakeWhole(const fs::path& path, const Json& run) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return nullptr;
  auto lock = std::make_unique<eval::Journal>(path);
  const JournalFile whole = lock->Read();
  if (whole.lines() == 0) return lock;
  const Json found = whole.Parse(0).value("run", Json());
  if (found != run)
    Throw(Code::kFailedPrecondition, whole.path(),
          ": is the journal of another run: ", eval::DifferenceOf(found, run),
          "; name another folder");
  return lock;
}

}  // namespace

EvalResult MergeEval(const std::vector<std::string>& from, const std::string& out) {
  std::vector<std::unique_ptr<ShardJournal>> journals;
  for (const fs::path& path : JournalsIn(from))
    journals.push_back(std::make_unique<ShardJournal>(path));
  const std::map<int64_t, const ShardJournal*> shards = CheckShards(journals);
  for (const auto& [index, shard] : shards) CheckFinished(*shard);
  eval::MakeFolder(out);
  const fs::path path = eval::JournalPath(out, {});
  const auto lock = TakeWhole(path, shards.begin()->second->index->run());
  WriteJournal(shards, path);
  const JournalFile whole(path);
  return eval::WriteFinalFiles(whole, JournalIndex(whole), out);
}

}  // namespace binocle
