#include "eval/report/task_report.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "eval/chair.h"
#include "eval/report/headline_terms.h"
#include "eval/report/row_pictures.h"
#include "eval/report/statistics.h"
#include "eval/report/yes_no_report.h"
#include "eval/run/results.h"
#include "eval/text.h"

namespace binocle::eval {
namespace {

PartScore ScorePart(const std::string& name, const std::string& scorer,
                    const std::vector<ScoredSample>& samples, const EvalResampling& resampling) {
  const HeadlineUnits units = UnitsOf(scorer, samples);
  const std::vector<Term> terms = TermsOf(units, samples);
  return {.name = name,
          .metric = HeadlineOf(scorer).metric,
          .samples = std::ssize(samples),
          .groups = GroupsOf(terms),
          .incomplete_groups = units.incomplete_groups,
          .score = Bootstrap(terms, resampling),
          .most = units.most};
}

// Scores by the names that `names_of` gives a sample, those without one left out; nothing where no sample is scored.
template <typename NamesOf>
std::vector<PartScore> ScoreBy(const RunTask& task, const EvalResampling& resampling,
                               const NamesOf& names_of) {
  struct Part {
    std::vector<ScoredSample> scored;
    int64_t unscored = 0;
  };
  std::map<std::string, Part> parts;
  bool any_scored = false;
  for (const RunSample& sample : task.samples) {
    for (const std::string& name : names_of(sample)) {
      if (name.empty()) continue;
      Part& part = parts[name];
      if (sample.score) {
        part.scored.push_back({.sample = &sample, .score = *sample.score});
        any_scored = true;
      } else {
        ++part.unscored;
      }
    }
  }
  std::vector<PartScore> scores;
  if (!any_scored) return scores;
  for (const auto& [name, part] : parts) {
    scores.push_back(ScorePart(name, task.scorer(), part.scored, resampling));
    scores.back().unscored = part.unscored;
  }
  return scores;
}

std::vector<PartScore> ScoreByScorer(const RunTask& task, const EvalResampling& resampling) {
  std::vector<std::string> names;
  const auto add = [&](const Json& name) {
    if (name.is_string() && name != "") names.push_back(name.get<std::string>());
  };
  for (const char* key : {"judge", "scorer", "open_scorer"}) add(task.about.value(key, Json()));
  for (const Json& name : task.about.value("also_scorers", Json::array())) add(name);
  std::vector<PartScore> scores;
  for (const std::string& name : names) {
    std::vector<ScoredSample> scored;
    for (const RunSample& sample : task.samples) {
      if (const auto at = sample.scores.find(name); at != sample.scores.end())
        scored.push_back({.sample = &sample, .score = at->second});
    }
    if (!scored.empty()) scores.push_back(ScorePart(name, name, scored, resampling));
  }
  return scores;
}

AnswerStyle StyleOfAnswers(const RunTask& task) {
  AnswerStyle style;
  for (const RunSample& sample : task.samples) {
    if (!sample.prediction) continue;
    const CaptionStyle one = StyleOf(FromUtf8(*sample.prediction));
    style.words.push_back(static_cast<double>(one.words));
    style.tokens.push_back(static_cast<double>(sample.completion_tokens));
    if (one.distinct_1) style.distinct_1.push_back(*one.distinct_1);
    if (one.distinct_2) style.distinct_2.push_back(*one.distinct_2);
    if (one.distinct_4) style.distinct_4.push_back(*one.distinct_4);
    style.repetitive += one.distinct_4 && *one.distinct_4 < 0.5 ? 1 : 0;
  }
  return style;
}

std::optional<EvalInterval> ChairI(const RunTask& task, const EvalResampling& resampling) {
  std::vector<Term> terms;
  for (const RunSample& sample : task.samples) {
    if (!sample.found.contains("hallucinated") || !sample.found.contains("named")) continue;
    terms.push_back({.numerator = static_cast<double>(sample.found["hallucinated"].size()),
                     .denominator = static_cast<double>(sample.found["named"].size()),
                     .group = sample.group});
  }
  return Bootstrap(terms, resampling);
}

bool IsLetter(const std::string& text) {
  return text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z';
}

std::optional<ChoiceTable> Choices(const RunTask& task) {
  std::map<std::pair<std::string, std::string>, int64_t> counts;  // the second empty: no answer
  std::set<std::string> letters;
  for (const RunSample& sample : task.samples) {
    if (sample.options == 0 || sample.wanted.size() != 1 || !IsLetter(sample.wanted[0])) continue;
    if (!sample.found.contains("parsed")) continue;
    const Json& parsed = sample.found["parsed"];
    std::string chosen = parsed.is_string() ? parsed.get<std::string>() : "";
    if (!IsLetter(chosen)) chosen.clear();
    ++counts[{sample.wanted[0], chosen}];
    letters.insert(sample.wanted[0]);
    if (!chosen.empty()) letters.insert(chosen);
  }
  if (counts.empty()) return std::nullopt;
  ChoiceTable table{.letters = {letters.begin(), letters.end()}};
  for (const std::string& wanted : table.letters) {
    std::vector<int64_t>& row = table.counts.emplace_back();
    for (const std::string& chosen : table.letters) row.push_back(counts[{wanted, chosen}]);
    row.push_back(counts[{wanted, ""}]);
  }
  return table;
}

// The lowest scores first; among equal ones every category in turn, so that one kind of question does not fill the list.
std::vector<const RunSample*> WorstOf(const RunTask& task, int64_t most) {
  struct Ranked {
    double score;
    size_t turn;
    const RunSample* sample;
  };
  std::map<std::pair<double, std::string>, size_t> turns;
  std::vector<Ranked> ranked;
  for (const RunSample& sample : task.samples) {
    if (!sample.score || *sample.score >= 1) continue;
    ranked.push_back({*sample.score, turns[{*sample.score, sample.category}]++, &sample});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return std::pair(a.score, a.turn) < std::pair(b.score, b.turn);
  });
  std::vector<const RunSample*> worst;
  for (size_t i = 0; i < std::min(ranked.size(), static_cast<size_t>(most)); ++i)
    worst.push_back(ranked[i].sample);
  return worst;
}

}  // namespace

EvalEstimate EstimateTask(const RunFiles& run, const RunTask& task,
                          const EvalResampling& resampling) {
  const PartScore all = ScorePart("", task.scorer(), ScoredSamplesOf(task), resampling);
  const auto count = [&](const char* member) { return task.about.at(member).get<int64_t>(); };
  const bool waits = task.about.at("score").is_null();  // for a judge, or for whole groups
  return {.run = run.folder,
          .task = task.name,
          .scorer = task.scorer(),
          .metric = all.metric,
          .higher_is_better = HeadlineOf(task.scorer()).higher_is_better,
          .samples = count("samples"),
          .answered = count("answered"),
          .failed = count("failed"),
          .empty = count("empty"),
          .skipped = task.about.at("skipped").at("skipped").get<int64_t>(),
          .unread_bytes = UnreadBytesOf(task.about),
          .groups = all.groups,
          .incomplete_groups = count("incomplete_groups"),
          .score = waits ? std::nullopt : all.score,
          .most = all.most};
}

TaskReport ReportTask(const RunFiles& run, const RunTask& task, const EvalReportOptions& options) {
  CheckOption("worst", options.worst, 0, 1000);
  TaskReport report{.task = &task, .estimate = EstimateTask(run, task, options.resampling)};
  report.scorers = ScoreByScorer(task, options.resampling);
  const auto score_by = [&](const auto& names_of) {
    return ScoreBy(task, options.resampling, names_of);
  };
  report.categories = score_by([](const RunSample& s) { return std::vector{s.category}; });
  report.abilities = score_by([](const RunSample& s) { return s.abilities; });
  report.answer_types = score_by([](const RunSample& s) { return std::vector{s.answer_type}; });
  ReportYesNo(task, options.resampling, report);
  report.chair_i = ChairI(task, options.resampling);
  report.choices = Choices(task);
  report.style = StyleOfAnswers(task);
  report.worst = WorstOf(task, options.worst);
  report.pictures = ReadRowPictures(task, report.worst, options.data);
  return report;
}

}  // namespace binocle::eval
