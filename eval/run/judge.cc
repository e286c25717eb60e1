// JudgeEval: a judge's verdicts into the files of a run.
#include <string>

#include "binocle/eval_run.h"
#include "core/error.h"
#include "eval/run/final_files.h"
#include "eval/run/journal.h"
#include "eval/run/journal_index.h"
#include "eval/run/names.h"
#include "eval/run/task_scores.h"
#include "eval/run/verdicts.h"
#include "eval/run/whole_file.h"

namespace binocle {
namespace {

using eval::JournalFile;
using eval::JournalIndex;
using eval::JudgeKind;
using State = JournalIndex::State;

// A letter beyond the options is a verdict on another question.
void CheckIsOption(const OrderedJson& record, const OrderedJson& verdict, const std::string& file) {
  const OrderedJson& choice = verdict.at("choice");
  if (choice.is_null()) return;
  const size_t options = record.at("options").size();
  const auto letter = choice.get<std::string>();
  if (static_cast<size_t>(letter[0] - 'A') >= options)
    ThrowInvalid(file, ": the choice for ", Printable(record.at("id").get<std::string>(), 60),
                 " is ", letter, ", expected one of ", options, " options, or null");
}

size_t JudgedTask(const JournalIndex& index, const std::string& name, const std::string& out) {
  for (size_t task = 0; task < static_cast<size_t>(index.tasks()); ++task) {
    const Json& head = index.run().at("tasks")[task];
    if (head.at("task") != name) continue;
    if (eval::JudgeKindOf(head) == JudgeKind::kNone)
      Throw(Code::kFailedPrecondition, "task ", name, " is scored by ",
            head.at("scorer").get<std::string>(), ", expected one that a judge grades");
    return task;
  }
  Throw(Code::kNotFound, out, ": the run has no task ", Printable(name, 60));
}

// The verdicts as they are kept: one for every answer that is for a judge, each tied to what it is on.
std::string Bound(const JournalFile& journal, const JournalIndex& index, size_t task,
                  const eval::Verdicts& verdicts, const std::string& file) {
  const Json& head = index.run().at("tasks")[task];
  const JudgeKind kind = eval::JudgeKindOf(head);
  const eval::TaskScores scores(head);
  std::string text;
  size_t used = 0;
  for (size_t doc_id = 0; doc_id < static_cast<size_t>(index.samples(task)); ++doc_id) {
    if (index.state(task, doc_id) != State::kAnswered) continue;
    const size_t line = index.line(task, doc_id);
    const OrderedJson record = ParseOrderedJson(journal.line(line), journal.Place(line));
    if (kind == JudgeKind::kChoice && !scores.IsUnread(record)) continue;
    const OrderedJson* verdict = verdicts.Find(record);
    const auto id = record.at("id").get<std::string>();
    if (verdict == nullptr)
      ThrowInvalid(
          file, ": has ",
          verdicts.lines().contains(id) ? "a verdict on another answer to " : "no verdict on ",
          Printable(id, 60));
    if (kind == JudgeKind::kChoice) CheckIsOption(record, *verdict, file);
    OrderedJson bound = *verdict;
    bound["prediction_sha256"] = eval::JudgeLine(record)["prediction_sha256"];
    text += eval::DumpLine(bound) + "\n";
    ++used;
  }
  if (used != verdicts.size())
    ThrowInvalid(file, ": has ", verdicts.size(), " verdicts, expected ", used,
                 kind == JudgeKind::kChoice ? ", one for every answer that could not be read"
                                            : ", one for every answer");
  return text;
}

}  // namespace

EvalResult JudgeEval(const std::string& out, const std::string& task, const std::string& file) {
  const JournalFile journal(eval::JournalPath(out, {}));
  if (journal.lines() == 0) Throw(Code::kNotFound, journal.path(), ": has no line yet");
  const JournalIndex index(journal);
  const size_t judged = JudgedTask(index, task, out);
  if (index.Count(State::kOpen) > 0)
    Throw(Code::kFailedPrecondition, journal.path(), ": the run is not finished, ",
          index.Count(State::kOpen), " samples are missing");
  const eval::FinalNames names{out,
                               eval::FileNameOf(index.run().at("model_name").get<std::string>())};
  eval::WholeFile kept(names.Verdicts(task));
  const JudgeKind kind = eval::JudgeKindOf(index.run().at("tasks")[judged]);
  kept.Write(Bound(journal, index, judged, eval::Verdicts::Read(file, kind), file));
  kept.Commit();
  return eval::WriteFinalFiles(journal, index, out);
}

}  // namespace binocle
