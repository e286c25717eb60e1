#include "eval/report/yes_no_report.h"

#include "eval/report/statistics.h"
#include "eval/text.h"
#include "eval/yes_no.h"

namespace binocle::eval {
namespace {

struct Parser {
  const char* name;
  YesNo (*said)(TextView answer, YesNo wanted);
  bool others_are_no = false;  // in the recall; otherwise they are left out of it
};

constexpr Parser kParsers[] = {
    {"pope_llava", [](TextView answer, YesNo) { return ParsePopeLlava(answer); }},
    {"pope_opera", [](TextView answer, YesNo) { return ParsePopeOpera(answer); }},
    {"pope_vcd", [](TextView answer, YesNo wanted) { return ParsePopeVcd(answer, wanted); }},
    {"pope_lmms", [](TextView answer, YesNo) { return ParsePopeLmms(answer); }},
    {"pope_vlmeval", [](TextView answer, YesNo) { return ParsePopeVlmeval(answer); }, true},
};

size_t Column(YesNo answer) { return answer == YesNo::kYes ? 0 : answer == YesNo::kNo ? 1 : 2; }

// F1 = 2·tp / (2·tp + fp + fn), with yes as positive.
Term F1Term(const Parser& parser, YesNo wanted, YesNo said, int64_t group) {
  double hit = 0;
  double miss = 0;
  if (said == YesNo::kOther) {
    miss = parser.others_are_no && wanted == YesNo::kYes ? 1 : 0;
  } else if (said != wanted) {
    miss = 1;
  } else if (said == YesNo::kYes) {
    hit = 1;
  }
  return {.numerator = 2 * hit, .denominator = 2 * hit + miss, .group = group};
}

}  // namespace

void ReportYesNo(const RunTask& task, const EvalResampling& resampling, TaskReport& report) {
  std::vector<const RunSample*> samples;
  std::vector<Term> wanted;
  for (const RunSample& sample : task.samples) {
    if (!sample.prediction || !sample.wanted_yes_no) continue;
    samples.push_back(&sample);
    wanted.push_back(
        {.numerator = sample.wanted_yes_no == YesNo::kYes ? 1.0 : 0.0, .group = sample.group});
  }
  report.yes_no_samples = std::ssize(samples);
  if (samples.empty()) return;
  report.wanted_yes_ratio = Bootstrap(wanted, resampling);
  for (const Parser& parser : kParsers) {
    YesNoScore score{.parser = parser.name};
    std::vector<Term> right, yes, f1;
    for (const RunSample* sample : samples) {
      const YesNo want = *sample->wanted_yes_no;
      const YesNo said = parser.said(FromUtf8(*sample->prediction), want);
      ++score.table[Column(want)][Column(said)];
      right.push_back({.numerator = said == want ? 1.0 : 0.0, .group = sample->group});
      yes.push_back({.numerator = said == YesNo::kYes ? 1.0 : 0.0, .group = sample->group});
      f1.push_back(F1Term(parser, want, said, sample->group));
    }
    score.accuracy = Bootstrap(right, resampling);
    score.yes_ratio = Bootstrap(yes, resampling);
    // Without a hit the scorers have none either.
    if (score.table[0][0] > 0) score.f1 = Bootstrap(f1, resampling);
    report.yes_no.push_back(std::move(score));
  }
}

}  // namespace binocle::eval
