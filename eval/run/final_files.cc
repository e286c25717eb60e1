#include "eval/run/final_files.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "eval/run/names.h"
#include "eval/run/results.h"
#include "eval/run/sha256.h"
#include "eval/run/task_scores.h"
#include "eval/run/verdicts.h"
#include "eval/run/whole_file.h"
#include "eval/text.h"

namespace binocle::eval {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFailuresTold = 20;

// Members of a record that are not about what was asked.
constexpr const char* kNotAsked[] = {"task",          "prediction",   "finish_reason",
                                     "prompt_tokens", "image_tokens", "completion_tokens",
                                     "grounding",     "logprobs",     "error",
                                     "seal"};

std::string DocHash(OrderedJson record) {
  for (const char* name : kNotAsked) record.erase(name);
  return Sha256Of(DumpLine(record));
}

// lmms-eval writes what was wanted as a text.
std::string TargetOf(const OrderedJson& record) {
  for (const char* name : {"answer", "references", "objects"}) {
    if (!record.contains(name)) continue;
    return record[name].is_string() ? record[name].get<std::string>() : DumpLine(record[name]);
  }
  return "";
}

// lmms-eval's members first, then everything that the journal has, so that the file can be scored again (binocle eval score).
OrderedJson SampleJson(const OrderedJson& record, const std::string& doc_hash,
                       const OrderedJson& scores) {
  const bool answered = record.contains("prediction");
  OrderedJson sample = {{"doc_id", record.at("doc_id")},
                        {"id", record.at("id")},
                        {"input", record.at("prompt")},
                        {"target", TargetOf(record)},
                        {"filtered_resps", answered ? record["prediction"] : OrderedJson()},
                        {"doc_hash", doc_hash}};
  if (answered)
    sample["token_counts"] = {{{"input_tokens", record.at("prompt_tokens")},
                               {"output_tokens", record.at("completion_tokens")}}};
  sample.update(scores);
  for (const auto& [key, value] : record.items()) {
    if (key != "task" && key != "prompt" && key != "seal" && !sample.contains(key))
      sample[key] = value;
  }
  return sample;
}

// One task's files.
class TaskWriter {
 public:
  TaskWriter(const Json& head, const FinalNames& names)
      : name_(head.at("task").get<std::string>()),
        kind_(JudgeKindOf(head)),
        scores_(head),
        samples_(names.Samples(name_)) {
    outcome_.head = head;
    if (kind_ == JudgeKind::kNone) return;
    judge_ = std::make_unique<WholeFile>(names.Judge(name_));
    std::error_code ignored;
    if (fs::exists(names.Verdicts(name_), ignored))
      verdicts_ = Verdicts::Read(names.Verdicts(name_), kind_);
  }

  void Add(const OrderedJson& record) {
    const std::string doc_hash = DocHash(record);
    hashes_.Add(doc_hash);
    const OrderedJson scores = record.contains("error") ? Failed(record) : Answered(record);
    samples_.Write(DumpLine(SampleJson(record, doc_hash, scores)) + "\n");
  }

  TaskOutcome Finish() {
    const HeadlineUnits units = scores_.HeadlineParts();
    outcome_.headline = scores_.headline();
    outcome_.score = units.value();
    outcome_.standard_error = units.standard_error();
    outcome_.incomplete_groups = units.incomplete_groups;
    // A part of the answers says nothing of the task. Where a judge only reads what the scorer cannot, its rule counts that as wrong
    // until then.
    if (kind_ == JudgeKind::kScore && outcome_.waiting > 0)
      outcome_.score = outcome_.standard_error = std::nullopt;
    if (outcome_.score) outcome_.abilities = scores_.Abilities();
    outcome_.summaries = scores_.Summaries();
    outcome_.doc_hash = hashes_.Hex();
    if (judge_) judge_->Commit();
    samples_.Commit();
    return std::move(outcome_);
  }

  EvalTaskResult Result(const TaskOutcome& outcome) const {
    return {.task = name_,
            .scorer = outcome.head.at("scorer").get<std::string>(),
            .metric = outcome.headline.metric,
            .higher_is_better = outcome.headline.higher_is_better,
            .score = outcome.score,
            .samples = outcome.head.at("samples").get<int64_t>(),
            .answered = outcome.answered,
            .failed = outcome.failed,
            .empty = outcome.empty,
            .incomplete_groups = outcome.incomplete_groups,
            .skipped = outcome.head.at("skipped").at("skipped").get<int64_t>(),
            .unread_bytes = UnreadBytesOf(outcome.head),
            .judge_file = outcome.judged > 0 ? judge_->path().string() : "",
            .samples_file = samples_.path().string()};
  }

 private:
  OrderedJson Failed(const OrderedJson& record) {
    const OrderedJson& error = record["error"];
    ++outcome_.failed;
    ++outcome_.failed_by_code[error.at("code").get<std::string>()];
    if (outcome_.failures.size() < kMaxFailuresTold)
      outcome_.failures.push_back({{"id", record.at("id")},
                                   {"place", record.at("place")},
                                   {"code", error.at("code")},
                                   {"message", error.at("message")}});
    scores_.AddFailed(record);
    return OrderedJson::object();
  }

  OrderedJson Answered(const OrderedJson& record) {
    ++outcome_.answered;
    outcome_.empty += Strip(FromUtf8(record["prediction"].get<std::string>())).empty() ? 1 : 0;
    outcome_.cut_off += record.at("finish_reason") == "length" ? 1 : 0;
    const bool for_judge =
        kind_ == JudgeKind::kScore || (kind_ == JudgeKind::kChoice && scores_.IsUnread(record));
    if (!for_judge) return scores_.Add(record);
    ++outcome_.judged;
    judge_->Write(DumpLine(JudgeLine(record)) + "\n");
    const OrderedJson* verdict = verdicts_.Find(record);
    outcome_.waiting += verdict == nullptr ? 1 : 0;
    return kind_ == JudgeKind::kScore ? Graded(record, verdict) : Chosen(record, verdict);
  }

  OrderedJson Graded(const OrderedJson& record, const OrderedJson* verdict) {
    if (verdict == nullptr) return OrderedJson::object();
    return scores_.AddVerdict(record, verdict->at("score").get<double>());
  }

  OrderedJson Chosen(const OrderedJson& record, const OrderedJson* verdict) {
    if (verdict == nullptr) return scores_.Add(record);
    const OrderedJson& choice = verdict->at("choice");
    OrderedJson members = scores_.Add(record, choice.is_null() ? "" : choice.get<std::string>());
    members["choice"] = choice;
    return members;
  }

  std::string name_;
  JudgeKind kind_;
  TaskScores scores_;
  WholeFile samples_;
  std::unique_ptr<WholeFile> judge_;
  Verdicts verdicts_;
  Sha256 hashes_;
  TaskOutcome outcome_;
};

void AddTask(const JournalFile& journal, const JournalIndex& index, size_t task,
             TaskWriter& writer) {
  for (size_t doc_id = 0; doc_id < static_cast<size_t>(index.samples(task)); ++doc_id) {
    const size_t line = index.line(task, doc_id);
    const OrderedJson record = ParseOrderedJson(journal.line(line), journal.Place(line));
    try {
      writer.Add(record);
    } catch (const OrderedJson::exception& e) {
      Throw(Code::kDataLoss, journal.Place(line), ": ", e.what());
    } catch (const Error& error) {
      throw WithContext(error, journal.Place(line));
    }
  }
}

}  // namespace

EvalResult WriteFinalFiles(const JournalFile& journal, const JournalIndex& index,
                           const fs::path& out) {
  const Json& run = index.run();
  const FinalNames names{out, FileNameOf(run.at("model_name").get<std::string>())};
  EvalResult result{.complete = true};
  std::vector<TaskOutcome> outcomes;
  for (size_t task = 0; task < static_cast<size_t>(index.tasks()); ++task) {
    TaskWriter writer(run.at("tasks")[task], names);
    AddTask(journal, index, task, writer);
    const TaskOutcome& outcome = outcomes.emplace_back(writer.Finish());
    result.tasks.push_back(writer.Result(outcome));
    if (result.first_failure.empty() && !outcome.failures.empty())
      result.first_failure = outcome.failures[0]["code"].get<std::string>() + ": " +
                             outcome.failures[0]["message"].get<std::string>();
  }
  WholeFile results(names.Results());
  results.Write(
      ResultsJson(run, outcomes).dump(2, ' ', false, OrderedJson::error_handler_t::replace));
  results.Write("\n");
  results.Commit();
  result.results_file = names.Results().string();
  return result;
}

}  // namespace binocle::eval
