#include "eval/headline.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace binocle::eval {
namespace {

constexpr double kMostOfCategory = 200;  // of MME

enum class Rule { kMean, kHallucinated, kCircular, kMme };

Rule RuleOf(std::string_view scorer) {
  if (scorer == "chair") return Rule::kHallucinated;
  if (scorer == "mmbench_letter" || scorer == "mmbench_vlmeval") return Rule::kCircular;
  if (scorer == "mme" || scorer == "mme_lmms") return Rule::kMme;
  return Rule::kMean;
}

// Lines that count together.
struct Group {
  size_t first_line = 0;
  int64_t lines = 0;
  int64_t right = 0;
  int64_t whole = 0;  // lines of a group that is whole
};

// In the order of their first lines. Pictures of MME are told apart within their category; a question's turns share theirs.
std::vector<Group> GroupsOf(Rule rule, const std::vector<HeadlineLine>& lines) {
  std::vector<Group> groups;
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (size_t i = 0; i < lines.size(); ++i) {
    const HeadlineLine& line = lines[i];
    const std::pair key(rule == Rule::kMme ? line.category : "", line.group);
    const auto [at, is_new] = places.try_emplace(key, groups.size());
    if (is_new || line.group.empty()) {
      at->second = groups.size();
      groups.push_back({.first_line = i});
    }
    Group& group = groups[at->second];
    group.lines += line.score ? 1 : 0;
    group.right += line.score > 0.0 ? 1 : 0;
    const int64_t whole = rule == Rule::kMme ? 2 : line.group.empty() ? 1 : line.options;
    group.whole = std::max(group.whole, whole);
  }
  return groups;
}

double ValueOf(Rule rule, const Group& group) {
  const double all_right = group.right == group.lines ? 1 : 0;
  if (rule == Rule::kCircular) return all_right;
  return kMostOfCategory / 2 * (static_cast<double>(group.right) / 2 + all_right);
}

struct Stratum {
  double units = 0;
  double sum = 0;
  double squares = 0;
};

std::map<std::string, Stratum> StrataOf(const std::vector<HeadlineUnit>& units) {
  std::map<std::string, Stratum> strata;
  for (const HeadlineUnit& unit : units) {
    Stratum& stratum = strata[unit.stratum];
    stratum.units += 1;
    stratum.sum += unit.value;
    stratum.squares += unit.value * unit.value;
  }
  return strata;
}

}  // namespace

Headline HeadlineOf(std::string_view scorer) {
  switch (RuleOf(scorer)) {
    case Rule::kHallucinated: return {.metric = "chair_s", .higher_is_better = false};
    case Rule::kCircular: return {.metric = "circular"};
    case Rule::kMme: return {.metric = "mme"};
    case Rule::kMean: break;
  }
  return {.metric = "score"};
}

HeadlineUnits UnitsOf(std::string_view scorer, const std::vector<HeadlineLine>& lines) {
  const Rule rule = RuleOf(scorer);
  HeadlineUnits out;
  if (rule == Rule::kMean || rule == Rule::kHallucinated) {
    for (size_t i = 0; i < lines.size(); ++i) {
      if (const auto score = lines[i].score)
        out.units.push_back({.value = rule == Rule::kMean ? *score : 1 - *score, .first_line = i});
    }
    return out;
  }
  for (const Group& group : GroupsOf(rule, lines)) {
    if (group.lines != group.whole) {
      ++out.incomplete_groups;
      continue;
    }
    out.units.push_back({.value = ValueOf(rule, group),
                         .stratum = rule == Rule::kMme ? lines[group.first_line].category : "",
                         .first_line = group.first_line});
  }
  if (rule == Rule::kMme && !out.units.empty())
    out.most = kMostOfCategory * static_cast<double>(StrataOf(out.units).size());
  return out;
}

std::optional<double> HeadlineUnits::value() const {
  if (units.empty()) return std::nullopt;
  double value = 0;
  for (const auto& [name, stratum] : StrataOf(units)) value += stratum.sum / stratum.units;
  return value;
}

std::optional<double> HeadlineUnits::standard_error() const {
  if (units.empty()) return std::nullopt;
  double variance = 0;
  for (const auto& [name, stratum] : StrataOf(units)) {
    const double n = stratum.units;
    if (n < 2) return std::nullopt;
    variance += std::max(0.0, (stratum.squares - stratum.sum * stratum.sum / n) / (n - 1) / n);
  }
  return std::sqrt(variance);
}

}  // namespace binocle::eval
