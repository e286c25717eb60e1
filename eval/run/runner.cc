// RunEval: the plan, the journal, the requests, the files.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "binocle/eval_run.h"
#include "core/error.h"
#include "eval/run/feed.h"
#include "eval/run/final_files.h"
#include "eval/run/journal.h"
#include "eval/run/journal_index.h"
#include "eval/run/names.h"
#include "eval/run/outage.h"
#include "eval/run/plan.h"
#include "eval/run/records.h"
#include "eval/run/task_samples.h"
#include "eval/run/whole_file.h"

namespace binocle {
namespace {

using eval::Feed;
using eval::FeedItem;
using eval::Journal;
using eval::JournalFile;
using eval::JournalIndex;
using eval::PlannedTask;
using eval::Sync;
using State = JournalIndex::State;
using Clock = std::chrono::steady_clock;

void Note(const EvalObserver& observer, const std::string& text) {
  if (observer.on_note) observer.on_note(text);
}

// Throws unless the journal is of this run.
void CheckSameRun(const JournalFile& file, const OrderedJson& head) {
  const Json wanted = Json::parse(eval::DumpLine(head));
  Json found = file.Parse(0);
  found.erase("seal");
  if (found == wanted) return;
  const bool same_run = found.contains("run") && found["run"] == wanted["run"];
  Throw(Code::kFailedPrecondition, file.path(), ": is the journal of another run: ",
        same_run ? eval::DifferenceOf(found, wanted)
                 : eval::DifferenceOf(found.value("run", Json()), wanted["run"]),
        "; begin anew, or name another folder");
}

// What an earlier run left in this folder beside its journal, under the names that its head gives: reports would take it for this run's.
void RemoveResults(const EvalRun& run, const JournalFile& file) {
  std::error_code ignored;
  std::filesystem::remove(eval::TimesPath(run.out, run.shard), ignored);
  if (run.shard.count > 1 || file.lines() == 0) return;
  const Json head = file.Parse(0).value("run", Json());
  const std::string model = head.value(Json::json_pointer("/model/name"), std::string());
  const eval::FinalNames names{.out = run.out, .model = eval::FileNameOf(model)};
  std::filesystem::remove(names.Results(), ignored);
  for (const Json& task : head.value("tasks", Json::array())) {
    const std::string name = task.value("task", std::string());
    for (const auto& path : {names.Samples(name), names.Judge(name), names.Verdicts(name)})
      std::filesystem::remove(path, ignored);
  }
}

// Makes the journal one of this run, or goes on with one that is.
void BeginJournal(const EvalRun& run, const OrderedJson& head, Journal& journal,
                  const EvalObserver& observer) {
  if (run.fresh) {
    RemoveResults(run, journal.Read());
    journal.Cut(0);
  }
  const JournalFile file = journal.Read();
  if (file.lines() > 0) CheckSameRun(file, head);
  if (file.is_torn()) {
    Note(observer, file.Place(file.lines()) + " was cut off: it is torn");
    journal.Cut(file.whole_bytes());
  }
  if (file.lines() == 0) journal.Append(head);
}

void NoteSkipped(const eval::Plan& plan, const EvalObserver& observer) {
  constexpr size_t kMostTold = 20;
  for (const auto& task : plan.run["tasks"]) {
    const auto& problems = task["problems"];
    for (size_t i = 0; i < std::min(problems.size(), kMostTold); ++i)
      Note(observer, problems[i]["message"].get<std::string>() + "; skipped");
    const auto skipped = task["skipped"]["skipped"].get<int64_t>();
    if (skipped > static_cast<int64_t>(kMostTold))
      Note(observer, task["task"].get<std::string>() + ": " +
                         std::to_string(skipped - static_cast<int64_t>(kMostTold)) +
                         " more rows skipped");
  }
}

// The requests of a run, from many threads.
class Asking {
 public:
  Asking(const EvalRun& run, const EvalAsk& ask, const EvalObserver& observer,
         const eval::Plan& plan, Journal& journal)
      : run_(run),
        ask_(ask),
        observer_(observer),
        plan_(plan),
        journal_(journal),
        outage_(2 * run.concurrency + 8) {}

  // Everything of the shard that the journal has no answer to. Returns false where it was stopped.
  bool Run();
  const EvalProgress& progress() const { return progress_; }

 private:
  void Resume();
  void Work();
  std::optional<FeedItem> Take();
  void AskOne(const FeedItem& item);
  void Took(const FeedItem& item, const Response& response, const OrderedJson& record);
  void Failed(const FeedItem& item, const std::string& prompt, const Error& error);
  void Report();
  bool stopped() const {
    return failure_ != nullptr || (observer_.keep_going && !observer_.keep_going());
  }

  const EvalRun& run_;
  const EvalAsk& ask_;
  const EvalObserver& observer_;
  const eval::Plan& plan_;
  Journal& journal_;

  std::mutex mutex_;  // guards what follows, and the journal
  std::unique_ptr<Feed> feed_;
  eval::Outage outage_;
  EvalProgress progress_;
  double score_sum_ = 0;
  std::exception_ptr failure_;
  bool interrupted_ = false;
};

bool Asking::Run() {
  Resume();
  Report();
  std::vector<std::thread> threads;
  const int64_t left = progress_.total - progress_.done;
  for (int64_t i = 0; i < std::min(run_.concurrency, left); ++i) {
    try {
      threads.emplace_back([this] {
        try {
          Work();
        } catch (...) {
          const std::lock_guard lock(mutex_);
          if (!failure_) failure_ = std::current_exception();
        }
      });
    } catch (const std::system_error& error) {
      // The system gives no more: those that there are do the work.
      if (threads.empty())
        Throw(Code::kResourceExhausted, "a thread to ask from: ", error.code().message());
      break;
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (failure_) std::rethrow_exception(failure_);
  return !interrupted_;
}

// Counts what the journal has, and leaves it out of what is asked.
void Asking::Resume() {
  const JournalFile file = journal_.Read();
  const JournalIndex index(file);
  std::vector<std::vector<bool>> done;
  for (size_t task = 0; task < plan_.tasks.size(); ++task) {
    const auto samples = static_cast<size_t>(plan_.tasks[task].samples());
    std::vector<bool>& of_task = done.emplace_back(samples);
    for (size_t i = 0; i < samples; ++i) of_task[i] = index.state(task, i) == State::kAnswered;
  }
  progress_.total = plan_.Samples(run_.shard.index);
  progress_.resumed = progress_.done = index.Count(State::kAnswered);
  feed_ = std::make_unique<Feed>(plan_, run_.shard.index, std::move(done));
}

void Asking::Work() {
  while (const auto item = Take()) AskOne(*item);
}

std::optional<FeedItem> Asking::Take() {
  const std::lock_guard lock(mutex_);
  if (stopped()) {
    interrupted_ = true;
    return std::nullopt;
  }
  return feed_->Next();
}

void Asking::AskOne(const FeedItem& item) {
  const PlannedTask& planned = plan_.tasks[item.task];
  const std::string prompt = eval::RenderPrompt(planned.task, item.numbered.sample, planned.prompt);
  {
    const std::lock_guard lock(mutex_);
    if (outage_.is_there())
      return Failed(item, prompt,
                    Error(Code::kUnavailable, "not asked: " + std::to_string(outage_.in_a_row()) +
                                                  " requests in a row before it found no server"));
  }
  std::optional<Response> response;
  std::optional<Error> error;
  try {
    response = ask_(eval::RequestOf(run_, planned, item.numbered.sample, prompt));
  } catch (const Error& thrown) {
    error = thrown;
  }
  const std::lock_guard lock(mutex_);
  const bool cancelled = response
                             ? response->answers.at(0).finish_reason == FinishReason::kCancelled
                             : error->code() == Code::kCancelled && stopped();
  if (cancelled) {
    interrupted_ = true;
  } else if (response) {
    Took(item, *response, eval::RecordOf(planned, item, prompt, *response));
  } else if (!error->option().empty()) {
    // What is wrong is the run's, and would be with every other sample.
    if (!failure_) failure_ = std::make_exception_ptr(*error);
  } else {
    outage_.Failed(error->code());
    Failed(item, prompt, *error);
  }
}

void Asking::Took(const FeedItem& item, const Response& response, const OrderedJson& record) {
  journal_.Append(record);
  outage_.Answered();
  ++progress_.done;
  progress_.images += std::ssize(item.numbered.sample.images);
  progress_.image_hits += response.image_hits;
  progress_.prompt_tokens += response.prompt_tokens;
  progress_.prefix_tokens += response.prefix_tokens;
  const PlannedTask& planned = plan_.tasks[item.task];
  const auto names = eval::ScorersOf(planned.task, item.numbered.sample);
  if (!names.empty()) {
    const Json line = record;
    score_sum_ += planned.scorers.Get(names[0]).score(eval::Fields(line)).score;
    progress_.score = score_sum_ / static_cast<double>(++progress_.scored);
  }
  Report();
}

void Asking::Failed(const FeedItem& item, const std::string& prompt, const Error& error) {
  journal_.Append(eval::FailureOf(plan_.tasks[item.task], item, prompt, error),
                  outage_.is_there() ? Sync::kLater : Sync::kNow);
  ++progress_.done;
  ++progress_.failed;
  Report();
}

void Asking::Report() {
  if (observer_.on_progress) observer_.on_progress(progress_);
}

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void WriteTimes(const EvalRun& run, const EvalProgress& progress, const std::string& began,
                Clock::time_point start) {
  const OrderedJson line = {
      {"began", began},
      {"seconds", std::chrono::duration<double>(Clock::now() - start).count()},
      {"concurrency", run.concurrency},
      {"resumed", progress.resumed},
      {"answered", progress.done - progress.resumed - progress.failed},
      {"failed", progress.failed},
      {"images", progress.images},
      {"image_hits", progress.image_hits},
      {"prompt_tokens", progress.prompt_tokens},
      {"prefix_tokens", progress.prefix_tokens}};
  std::ofstream(eval::TimesPath(run.out, run.shard), std::ios::app) << eval::DumpLine(line) << '\n';
}

// A folder holds the shards of one division. What a scheduler says of a part that is begun again by itself may be another one.
void CheckDivision(const std::filesystem::path& out, const EvalShard& shard) {
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    const int64_t shards = eval::ShardsOfJournal(name).value_or(shard.count);
    if (shards == shard.count || shards == 1) continue;
    Throw(Code::kFailedPrecondition, out.string(), ": holds ", name, ", a part of ", shards,
          ", and this run is one of ", shard.count,
          " (--shard, or what the scheduler says); give --shard I/", shards, ", or another folder");
  }
}

// A merge puts the journal of the whole in its place, so that of another run may not be there.
void CheckNoOtherWhole(const EvalRun& run, const OrderedJson& plan_run) {
  const std::filesystem::path path = eval::JournalPath(run.out, {});
  std::error_code ignored;
  if (run.shard.count == 1 || !std::filesystem::exists(path, ignored)) return;
  const JournalFile whole(path);
  if (whole.lines() == 0) return;
  const Json found = whole.Parse(0).value("run", Json()),
             wanted = Json::parse(eval::DumpLine(plan_run));
  if (found != wanted)
    Throw(Code::kFailedPrecondition, whole.path(),
          ": is the journal of another run, which a merge would replace: ",
          eval::DifferenceOf(found, wanted), "; name another folder");
}

}  // namespace

EvalResult RunEval(const EvalRun& run, const EvalAsk& ask, const EvalObserver& observer) {
  const eval::Plan plan = eval::MakePlan(run);
  NoteSkipped(plan, observer);
  eval::MakeFolder(run.out);
  CheckDivision(run.out, run.shard);
  CheckNoOtherWhole(run, plan.run);
  if (run.task_constraint) {
    for (const PlannedTask& task : plan.tasks) {
      if (!eval::HasConstraint(task.task))
        Note(observer, task.task.name +
                           " says nothing of what its answers may be: --task-constraint holds them "
                           "to nothing");
    }
  }
  Journal journal(eval::JournalPath(run.out, run.shard));
  BeginJournal(run, eval::JournalHead(plan.run, run.shard, plan.Samples(run.shard.index)), journal,
               observer);
  const std::string began = UtcNow();
  const Clock::time_point start = Clock::now();
  Asking asking(run, ask, observer, plan, journal);
  const bool complete = asking.Run();
  WriteTimes(run, asking.progress(), began, start);
  EvalResult result;
  if (complete && run.shard.count == 1) {
    const JournalFile file = journal.Read();
    result = eval::WriteFinalFiles(file, JournalIndex(file), run.out);
  }
  result.complete = complete;
  result.shard = run.shard;
  result.progress = asking.progress();
  return result;
}

}  // namespace binocle
