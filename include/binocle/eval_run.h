// Benchmark runs: what a task asks is asked of a model, kept, scored and written. In libbinocle_eval, which knows no model: who answers
// is a function.
//
//   binocle::Engine engine = binocle::Engine::Load("models/binocle-tiny", {});
//   binocle::EvalRun run{.tasks = {"eval/tasks/scenes.json"}, .data = "scenes", .out = "out", .model = {.name = "tiny"}};
//   binocle::RunEval(run, [&](const binocle::Request& request) { return engine.Generate(request); });
//
// A run may end at any moment: every answer is in its journal, on the disk, before the next one is looked at, and RunEval with the same
// run goes on from there. The files at the end are the same to the byte, whatever happened in between. What they hold: docs/evaluation.md.
//
// All functions throw binocle::Error.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "binocle/error.h"
#include "binocle/export.h"
#include "binocle/request.h"

namespace binocle {

struct TaskPrompt {
  std::string name;  // "default", another name, or a family of models
  std::string text;
  std::string source;
};

// A task file in short.
struct TaskInfo {
  std::string path;
  std::string name;
  std::string version;
  std::string description;
  std::string homepage;
  std::string how_to_get;          // its data, in words
  std::string data_format;         // "jsonl"
  std::vector<std::string> files;  // within the data folder, annotations behind them
  std::vector<TaskPrompt> prompts;
  std::string scorer;                     // empty: a judge decides
  std::vector<std::string> also_scorers;  // reported beside it
  std::string open_scorer;   // of questions without options, where there are both kinds
  std::string judge;         // who grades; empty: a scorer does
  std::string choice_judge;  // who says which option an answer means that the scorer cannot read
  std::string objects;       // the file of what chair knows; empty: COCO's
  int64_t max_new_tokens = 0;
  double temperature = 0;
  std::vector<std::string> stop;
};

// Throws INVALID_ARGUMENT with the place and what is wrong.
BINOCLE_EXPORT TaskInfo ReadTaskInfo(const std::string& path);
// All "*.json" of a folder, by name.
BINOCLE_EXPORT std::vector<TaskInfo> ReadTaskInfos(const std::string& folder);

// One of `count` parts of a run; index is 0 … count − 1. The questions about a picture are in one part.
struct EvalShard {
  int64_t index = 0;
  int64_t count = 1;
};

// Who answers.
struct EvalModel {
  std::string name;    // names the files that come out
  std::string family;  // chooses the prompts of that name where none is named
  // A JSON object: whatever tells this model from others. A run goes on, and shards go together, only where it is the same.
  std::string identity = "{}";
};

struct EvalRun {
  std::vector<std::string> tasks;  // task files, each task once
  // The data's folder. A folder in it with a task's name is that task's.
  std::string data;
  std::string out;     // made where it is not there
  std::string prompt;  // of that name; empty: that of the model's family, or "default"
  // 1 … : the first so many samples of each task. Absent: all.
  std::optional<int64_t> limit;
  EvalShard shard;
  int64_t concurrency = 16;  // 1 … 1024 requests at a time
  // What all requests have in common; without messages, and with one answer (n = 1). max_new_tokens, temperature and stop are the task's,
  // unless the three below say otherwise.
  Request request;
  std::optional<int64_t> max_new_tokens;
  std::optional<double> temperature;
  std::optional<std::vector<std::string>> stop;
  // Answers are held to what the task says they may be; published scores are without.
  bool task_constraint = false;
  bool exif = true;  // pictures are turned upright
  EvalModel model;
  // A JSON object: what else may change answers. Compared like EvalModel::identity, and written down.
  std::string settings = "{}";
  bool fresh = false;  // what an earlier run left is thrown away, and the run begins anew
};

// Answers one request. Called from `concurrency` threads at a time. An Error that it throws is what becomes of the sample; one about an
// option (Error::option()) ends the run, as no other sample would fare better.
using EvalAsk = std::function<Response(const Request&)>;

// How far a run is, or this shard of it.
struct EvalProgress {
  int64_t total = 0;       // samples
  int64_t done = 0;        // answered or failed, those of earlier runs included
  int64_t resumed = 0;     // answered by earlier runs
  int64_t failed = 0;      // of this run
  int64_t images = 0;      // pictures of this run's answers
  int64_t image_hits = 0;  // of them out of the image cache
  int64_t prompt_tokens = 0;
  int64_t prefix_tokens = 0;  // of them, whose keys and values were there already
  int64_t scored = 0;
  double score = 0;  // mean of those that are scored, 0 … 1, whatever the task's metric
};

// Called from any thread, one at a time. All may be empty.
struct EvalObserver {
  std::function<void(const EvalProgress&)>
      on_progress;                                  // after every sample, and once before the first
  std::function<void(const std::string&)> on_note;  // what a person should know, in one line
  std::function<bool()>
      keep_going;  // false: what is under way ends, the rest is left for another time
};

struct EvalTaskResult {
  std::string task;
  std::string scorer;  // empty: a judge
  // What the score is: the number that is published of such a task ("mme", "circular", "chair_s"), or "score", the mean over samples.
  std::string metric = "score";
  bool higher_is_better = true;
  std::optional<double> score;  // absent: nothing was scored, or a judge has not graded yet
  int64_t samples = 0;
  int64_t answered = 0;
  int64_t failed = 0;
  int64_t empty = 0;  // of the answers
  // Left out of the score because a sample of theirs failed or is not there: MME's pictures, CircularEval's questions.
  int64_t incomplete_groups = 0;
  int64_t skipped = 0;  // damaged rows
  // Of data files, behind a fault that leaves open what they are; absent where there is no such fault.
  std::optional<int64_t> unread_bytes;
  std::string judge_file;    // what a judge is to grade; empty: nothing
  std::string samples_file;  // empty for shards, which have no files of their own

  // The score is not of all samples: of those that were asked, or of a data file that could not be read to its end.
  bool incomplete() const { return failed > 0 || incomplete_groups > 0 || unread_bytes; }
};

struct EvalResult {
  bool complete = false;  // false: it was stopped, and there are no files
  EvalShard shard;
  EvalProgress progress;
  std::string first_failure;  // "CODE: message", in the order of the data; empty: nothing failed
  std::string results_file;   // empty for shards and where it is not complete
  std::vector<EvalTaskResult> tasks;
};

// Asks what is not answered yet and, where all is, writes the files; for a shard MergeEval does. Samples that failed before are asked
// again. INVALID_ARGUMENT for options out of range, which Error::option() names; NOT_FOUND for data; FAILED_PRECONDITION where `out` has a
// journal of another run, with what differs; DATA_LOSS for a journal that is damaged before its last line; RESOURCE_EXHAUSTED where
// another process writes it. A sample that fails is no error: it is counted.
BINOCLE_EXPORT EvalResult RunEval(const EvalRun& run, const EvalAsk& ask,
                                  const EvalObserver& observer = {});

// Puts the shards of a run together: the same files as of a run without shards. `from` are journals, or folders that hold them.
// FAILED_PRECONDITION for shards that are missing, unfinished, there twice, or of different runs.
BINOCLE_EXPORT EvalResult MergeEval(const std::vector<std::string>& from, const std::string& out);

// Takes a judge's verdicts on `task` and writes the files of the run in `out` anew with them. `file` has a JSON object a line, {"id",
// "score"} with 0 ≤ score ≤ 1, for every answer once; where the judge says what answers choose, {"id", "choice"} with a letter of the
// options or null, for every answer that the scorer cannot read. Other members are kept. INVALID_ARGUMENT for lines that are not so, with
// their numbers.
BINOCLE_EXPORT EvalResult JudgeEval(const std::string& out, const std::string& task,
                                    const std::string& file);

// Tells models apart: a SHA-256 over the names and contents of a directory's "*.json", "*.model" and "*.safetensors", and of those of the checkpoints
// that an assembled one names; or of a GGUF file with its splits. Of a file of more than 64 MiB it sees its size and 1,024 parts of 64 KiB.
BINOCLE_EXPORT std::string EvalModelDigest(const std::string& path);

}  // namespace binocle
