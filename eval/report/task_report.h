// What a report says of one task of a run, as numbers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "binocle/eval_report.h"
#include "eval/report/run_files.h"

namespace binocle::eval {

// A score over some of the samples.
struct PartScore {
  std::string name;
  std::string metric;    // what the score is
  int64_t samples = 0;   // that are scored
  int64_t unscored = 0;  // that failed or are not graded
  int64_t groups = 0;
  int64_t incomplete_groups = 0;      // left out of the score
  std::optional<EvalInterval> score;  // 0 … most
  double most = 1;
};

// What one parser reads in the answers to yes-or-no questions.
struct YesNoScore {
  std::string parser;                             // a scorer
  std::array<std::array<int64_t, 3>, 2> table{};  // wanted yes, no by said yes, no, other
  std::optional<EvalInterval> accuracy;
  std::optional<EvalInterval> f1;         // of yes
  std::optional<EvalInterval> yes_ratio;  // of the answers
};

// Letters wanted by letters chosen.
struct ChoiceTable {
  std::vector<std::string> letters;          // those that were wanted or chosen, in order
  std::vector<std::vector<int64_t>> counts;  // [letters][letters + 1], the last: no answer
};

// How answers are written. A value for each answer that has one.
struct AnswerStyle {
  std::vector<double> words;
  std::vector<double> tokens;
  std::vector<double> distinct_1;
  std::vector<double> distinct_2;
  std::vector<double> distinct_4;
  int64_t repetitive = 0;  // less than half of the sequences of four words are different
};

struct TaskReport {
  const RunTask* task = nullptr;
  EvalEstimate estimate;
  std::vector<PartScore> scorers;       // the one that counts and those beside it
  std::vector<PartScore> categories;    // by name
  std::vector<PartScore> abilities;     // by name; a sample counts in each of its own
  std::vector<PartScore> answer_types;  // by name
  int64_t yes_no_samples = 0;           // answered ones whose wanted answer is yes or no
  std::optional<EvalInterval> wanted_yes_ratio;
  std::vector<YesNoScore> yes_no;       // of POPE's parsers; empty without such samples
  std::optional<EvalInterval> chair_i;  // Σ hallucinated mentions / Σ mentions, where chair counts
  std::optional<ChoiceTable> choices;
  AnswerStyle style;
  std::vector<const RunSample*> worst;
  std::map<std::string, std::string> pictures;  // of these, those in rows, by their hashes
};

// `run` must outlive it.
TaskReport ReportTask(const RunFiles& run, const RunTask& task, const EvalReportOptions& options);
// The task's score alone.
EvalEstimate EstimateTask(const RunFiles& run, const RunTask& task,
                          const EvalResampling& resampling);

}  // namespace binocle::eval
