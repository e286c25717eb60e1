// What a run's files are called.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "binocle/eval_run.h"

namespace binocle::eval {

// A model's name as part of a file's name: what file systems or lmms-eval mind becomes "__".
std::string FileNameOf(const std::string& model);

// "journal_0_of_4.jsonl"
std::filesystem::path JournalPath(const std::filesystem::path& out, const EvalShard& shard);
// How many shards the run has of which a file of that name is a journal. One is a whole run, or what a merge has written.
std::optional<int64_t> ShardsOfJournal(const std::string& name);
// "times_0_of_4.jsonl": how long each process took; the only file with times in it.
std::filesystem::path TimesPath(const std::filesystem::path& out, const EvalShard& shard);

// Files at the end of a run.
struct FinalNames {
  std::filesystem::path out;
  std::string model;  // FileNameOf

  std::filesystem::path Results() const { return out / (model + "_results.json"); }
  std::filesystem::path Samples(const std::string& task) const {
    return out / (model + "_samples_" + task + ".jsonl");
  }
  std::filesystem::path Judge(const std::string& task) const {
    return out / (model + "_judge_" + task + ".jsonl");
  }
  std::filesystem::path Verdicts(const std::string& task) const {
    return out / (model + "_verdicts_" + task + ".jsonl");
  }
};

}  // namespace binocle::eval
