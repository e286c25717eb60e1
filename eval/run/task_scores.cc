#include "eval/run/task_scores.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "eval/fields.h"
#include "eval/run/journal.h"

namespace binocle::eval {
namespace {

// What scorers read of a line, and no more: another member of such a name is not theirs.
constexpr const char* kScorerMembers[] = {"id",         "prediction",  "answer",
                                          "references", "options",     "objects",
                                          "category",   "answer_type", "group"};

OrderedJson ScorerLine(const OrderedJson& record) {
  OrderedJson line = OrderedJson::object();
  for (const char* name : kScorerMembers) {
    if (record.contains(name)) line[name] = record[name];
  }
  return line;
}

}  // namespace

HeadlineLine HeadlineLineOf(const OrderedJson& record, std::optional<double> score) {
  const Json fields = record;
  const Fields names(fields);
  return {
      .score = score,
      .category = names.NameOr("category"),
      .group = names.NameOr("group"),
      .options = record.contains("options") ? static_cast<int64_t>(record["options"].size()) : 0};
}

void ScoreMean::Add(double score) {
  ++count_;
  sum_ += score;
  squares_ += score * score;
}

std::optional<double> ScoreMean::mean() const {
  if (count_ == 0) return std::nullopt;
  return sum_ / static_cast<double>(count_);
}

std::optional<double> ScoreMean::standard_error() const {
  if (count_ < 2) return std::nullopt;
  const auto n = static_cast<double>(count_);
  return std::sqrt(std::max(0.0, (squares_ - sum_ * sum_ / n) / (n - 1) / n));
}

TaskScores::TaskScores(const Json& task)
    : judge_(task.at("judge").get<std::string>()),
      decider_(judge_.empty() ? task.at("scorer").get<std::string>() : judge_) {
  if (!judge_.empty()) return;
  const auto& table = task.at("objects");
  const auto add = [&](const std::string& name) {
    const ScoringOptions options{.objects = name == "chair" && !table.is_null() ? table.dump()
                                                                                : std::string()};
    scorers_.push_back({name, Scoring(name, options), {}});
  };
  add(task.at("scorer").get<std::string>());
  for (const Json& name : task.at("also_scorers")) add(name.get<std::string>());
  for (ScorerDefinition& scorer : AllScorers()) {
    if (scorer.info.name == decider_) reader_ = std::move(scorer);
  }
  const auto open = task.at("open_scorer").get<std::string>();
  if (!open.empty()) open_.emplace(Scorer{open, Scoring(open), {}});
}

std::vector<TaskScores::Scorer*> TaskScores::ScorersOf(const OrderedJson& record) {
  if (open_ && !record.contains("options")) return {&*open_};
  std::vector<Scorer*> all;
  for (Scorer& scorer : scorers_) all.push_back(&scorer);
  return all;
}

bool TaskScores::IsUnread(const OrderedJson& record) const {
  if (!reader_ || (open_ && !record.contains("options"))) return false;
  const Json line = ScorerLine(record);
  return !reader_->score(Fields(line)).answered;
}

OrderedJson TaskScores::Add(const OrderedJson& record, const std::string& choice) {
  const OrderedJson line = ScorerLine(record);
  OrderedJson chosen = line;
  if (!choice.empty()) chosen["prediction"] = choice;
  OrderedJson members = OrderedJson::object();
  OrderedJson scored = OrderedJson::object();
  for (Scorer* scorer : ScorersOf(record)) {
    const bool counts = members.empty();
    const OrderedJson result =
        OrderedJson::parse(scorer->scoring.Score(DumpLine(counts ? chosen : line)));
    OrderedJson& found = scored[scorer->name] = OrderedJson::object();
    for (const auto& [key, value] : result.items()) {
      if (!line.contains(key)) found[key] = value;
    }
    const double score = result.at("score").get<double>();
    if (counts) Count(record, score);
    scorer->mean.Add(score);
    members[scorer->name] = score;
  }
  if (!scored.empty()) members["scored"] = std::move(scored);
  return members;
}

OrderedJson TaskScores::AddVerdict(const OrderedJson& record, double score) {
  Count(record, score);
  return {{judge_, score}};
}

void TaskScores::Count(const OrderedJson& record, double score) {
  lines_.push_back(HeadlineLineOf(record, score));
  for (const auto& ability : record.value("abilities", std::vector<std::string>{}))
    abilities_[ability].Add(score);
}

OrderedJson TaskScores::Abilities() const {
  OrderedJson abilities = OrderedJson::object();
  for (const auto& [name, mean] : abilities_)
    abilities[name] = {{"samples", mean.count()}, {"score", *mean.mean()}};
  return abilities;
}

std::vector<TaskScores::Summary> TaskScores::Summaries() const {
  std::vector<Summary> summaries;
  const auto add = [&](const Scorer& scorer) {
    if (scorer.mean.count() == 0) return;
    // Groups may lack a sample that failed or that the limit left out.
    OrderedJson all = OrderedJson::parse(scorer.scoring.Summary(IncompleteGroups::kLeftOut));
    OrderedJson& members = all["summary"];
    // The scorer has not seen those of which every sample failed.
    if (members.contains("incomplete_groups"))
      members["incomplete_groups"] = UnitsOf(scorer.name, lines_).incomplete_groups;
    summaries.push_back({scorer.name, std::move(members), scorer.mean});
  };
  for (const Scorer& scorer : scorers_) add(scorer);
  if (open_) add(*open_);
  return summaries;
}

}  // namespace binocle::eval
