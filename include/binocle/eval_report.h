// Reports on runs and comparisons of them, from their final files alone (docs/evaluation.md, "Report"). In libbinocle_eval, which knows no
// model: who wants attention maps in a report hands them in as pictures.
//
//   const binocle::EvalReport report = binocle::ReportEval({"out"}, {});
//   std::ofstream("report.html") << report.html;
//   for (const binocle::EvalTaskComparison& task : binocle::CompareEval({"plain", "var"}, {}).tasks)
//     if (task.difference)
//       std::cout << task.task << ' ' << task.difference->value << " p=" << *task.p << '\n';
//
// Intervals are percentiles of a bootstrap that draws groups of samples: those about the same pictures are drawn together. The same files
// and seed give the same bytes.
//
// All functions throw binocle::Error: NOT_FOUND for a folder without a finished run, DATA_LOSS for final files that do not belong
// together or are damaged, FAILED_PRECONDITION for runs that did not ask the same, with what differs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "binocle/error.h"
#include "binocle/export.h"

namespace binocle {

struct EvalResampling {
  int64_t resamples = 2000;  // 1000 … 1000000
  uint64_t seed = 0;
};

// A value and its 95 % interval.
struct EvalInterval {
  double value = 0;
  double low = 0;
  double high = 0;
};

// A task's score in a run.
struct EvalEstimate {
  std::string run;  // the folder, as it was given
  std::string task;
  std::string scorer;  // or the judge
  // What the score is: "score", the mean over samples, or the number that is published of such a task ("mme", "circular", "chair_s").
  std::string metric = "score";
  bool higher_is_better = true;
  int64_t samples = 0;
  int64_t answered = 0;
  int64_t failed = 0;
  int64_t empty = 0;
  int64_t skipped = 0;
  // Of data files, behind a fault that leaves open what they are; absent where there is no such fault.
  std::optional<int64_t> unread_bytes;
  int64_t groups = 0;  // of the samples that are scored
  int64_t incomplete_groups =
      0;  // left out of the score: a sample that belongs to them failed or is not there
  std::optional<EvalInterval> score;  // absent: nothing is scored
  double most = 1;                    // the largest that the score can be

  // The score is not of all samples: of those that were asked, or of a data file that could not be read to its end.
  bool incomplete() const { return failed > 0 || incomplete_groups > 0 || unread_bytes; }
};

// A sample that a report shows, with what was asked.
struct EvalShownSample {
  std::string run;
  std::string task;
  std::string id;
  std::string prompt;
  std::string prediction;
  std::vector<std::string> images;  // paths within the data folder, or hashes of pictures in rows
  // For each of them the encoded picture, where it lies in a row of EvalReportOptions::data; otherwise empty.
  std::vector<std::string> pictures;
  int64_t max_new_tokens = 0;
  // Members "request", "settings" and "exif" of the run: a JSON object.
  std::string asked;
};

// A picture to a sample: an encoded PNG, JPEG or WebP of at most 8 MiB, or else only its caption.
struct EvalFigure {
  std::string bytes;
  std::string caption;
};

struct EvalReportOptions {
  EvalResampling resampling;
  int64_t worst = 12;  // 0 … 1000: samples shown of each task
  // The data's folder, as of EvalRun::data: pictures in rows are read from there, up to 8 MiB each and 64 MiB a task. Empty: none are.
  // NOT_FOUND where a task's files are not in it.
  std::string data;
  // The pictures of a sample that is shown; may be empty.
  std::function<std::vector<EvalFigure>(const EvalShownSample&)> figures;
};

struct EvalReport {
  std::string html;  // one file that needs no other
  std::vector<EvalEstimate> tasks;
};

// Of one run, everything; of several, their scores side by side and, where settings differ, curves of score against cost.
BINOCLE_EXPORT EvalReport ReportEval(const std::vector<std::string>& runs,
                                     const EvalReportOptions& options);

// A sample whose score is another one.
struct EvalChange {
  std::string id;
  std::string category;
  std::string prompt;
  std::string wanted;
  std::string before;
  std::string after;
  double score_before = 0;
  double score_after = 0;
};

// One task of a run beside the same one of the first run, over the samples that both answered.
struct EvalTaskComparison {
  std::string task;
  std::string scorer;
  std::string metric = "score";  // what the scores and the difference are, as in EvalEstimate
  bool higher_is_better = true;
  std::string before;  // folders
  std::string after;
  int64_t pairs = 0;
  int64_t groups = 0;
  int64_t left_out = 0;         // failed, or not graded, in one of the two
  int64_t unscored_before = 0;  // of these, in the first run; some may be so in both
  int64_t unscored_after = 0;
  int64_t incomplete_groups = 0;  // left out of scores and difference, not of better and worse
  std::optional<int64_t> unread_bytes;  // of the data of either run, as above
  std::optional<double> score_before;   // over the pairs; absent: nothing is scored in both
  std::optional<double> score_after;
  std::optional<EvalInterval> difference;  // after − before, paired
  int64_t better = 0;                      // discordant pairs, by the samples' scores
  int64_t worse = 0;
  std::optional<double> p;          // McNemar's test, two-sided; absent without pairs
  bool exact = true;                // binomial; false: χ² with continuity correction
  int64_t reworded = 0;             // other answers with the same score
  std::vector<EvalChange> changes;  // all better and worse ones, the largest first

  // Scores and difference are not of all samples.
  bool incomplete() const { return left_out > 0 || incomplete_groups > 0 || unread_bytes; }
};

struct EvalComparison {
  std::vector<EvalTaskComparison> tasks;
  std::vector<std::string>
      settings;  // for every run but the first: how what it was asked with differs; may be empty
};

// Every run beside the first.
BINOCLE_EXPORT EvalComparison CompareEval(const std::vector<std::string>& runs,
                                          const EvalResampling& resampling);
// A comparison as one HTML file that needs no other.
BINOCLE_EXPORT std::string ComparisonHtml(const EvalComparison& comparison);

}  // namespace binocle
