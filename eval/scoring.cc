// The public interface: lines in, scored lines and a summary out.
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "binocle/eval.h"
#include "core/error.h"
#include "eval/scorer.h"

namespace binocle {
namespace {

using eval::Fields;
using eval::LineScore;
using eval::ScorerDefinition;
using eval::Tally;

// One line, whatever bytes the strings hold.
std::string Dump(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

// What all scorers count, and what this one does.
class Sums {
 public:
  explicit Sums(const ScorerDefinition& scorer) : tally_(scorer.tally ? scorer.tally() : nullptr) {}

  void Add(const LineScore& line, bool empty) {
    ++lines_;
    sum_ += line.score;
    no_answer_ += line.answered ? 0 : 1;
    empty_ += empty ? 1 : 0;
    if (tally_) tally_->Add(line);
  }

  void Write(IncompleteGroups incomplete, OrderedJson& out) const {
    out["lines"] = lines_;
    out["score"] = lines_ == 0 ? OrderedJson() : OrderedJson(sum_ / static_cast<double>(lines_));
    out["no_answer"] = no_answer_;
    out["empty"] = empty_;
    if (tally_) tally_->Write(incomplete, out);
  }

 private:
  int64_t lines_ = 0;
  double sum_ = 0;
  int64_t no_answer_ = 0;
  int64_t empty_ = 0;
  std::unique_ptr<Tally> tally_;
};

// `line` with `members` at its end, or in their place where it has them; nothing else about its text changes.
std::string WithMembers(std::string_view line, const Json& parsed, const OrderedJson& members) {
  bool present = false;
  for (const auto& [key, value] : members.items()) present = present || parsed.contains(key);
  if (present) {
    OrderedJson object = OrderedJson::parse(line);
    for (const auto& [key, value] : members.items()) object[key] = value;
    return Dump(object);
  }
  const size_t end = line.rfind('}');
  size_t begin = std::min(line.find('{'), end);
  std::string text(line.substr(begin, end - begin));
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  if (!parsed.empty()) text += ',';
  return text + Dump(members).substr(1);
}

ScorerDefinition Definition(std::string_view name, const ScoringOptions& options) {
  if (!options.objects.empty() && name != "chair")
    ThrowOption("objects", "is given with scorer ", Printable(name, 60), ", expected chair");
  std::vector<ScorerDefinition> scorers;
  try {
    scorers = eval::AllScorers(options.objects);
  } catch (const Error& error) {
    ThrowOption("objects", "is no table: ", error.message());
  }
  std::string names;
  for (ScorerDefinition& scorer : scorers) {
    if (scorer.info.name == name) return std::move(scorer);
    names += (names.empty() ? "" : ", ") + scorer.info.name;
  }
  throw Error(Code::kInvalidArgument,
              "scorer is " + Printable(name, 60) + ", expected one of " + names, "scorer");
}

}  // namespace

std::vector<ScorerInfo> Scorers() {
  std::vector<ScorerInfo> infos;
  for (ScorerDefinition& scorer : eval::AllScorers()) infos.push_back(std::move(scorer.info));
  return infos;
}

struct Scoring::State {
  State(std::string_view name, const ScoringOptions& options)
      : scorer(Definition(name, options)), all(scorer) {}

  ScorerDefinition scorer;
  Sums all;
  std::map<std::string, Sums> categories;
  std::unordered_set<std::string> ids;
};

Scoring::Scoring(std::string_view scorer, const ScoringOptions& options)
    : state_(std::make_unique<State>(scorer, options)) {}
Scoring::~Scoring() = default;
Scoring::Scoring(Scoring&&) noexcept = default;
Scoring& Scoring::operator=(Scoring&&) noexcept = default;

std::string Scoring::Score(std::string_view line) {
  const Json parsed = eval::ParseAnswerLine(line);
  const Fields fields(parsed);
  std::string id = parsed.contains("id")
                       ? parsed["id"].dump(-1, ' ', false, Json::error_handler_t::replace)
                       : "";
  if (!id.empty() && state_->ids.contains(id))
    ThrowInvalid("id is ", Printable(id, 60), ", which an earlier line has");
  LineScore score = state_->scorer.score(fields);
  score.category = fields.NameOr("category");
  const bool empty = fields.Has("prediction") && eval::Strip(fields.Prediction()).empty();

  state_->all.Add(score, empty);
  if (!score.category.empty())
    state_->categories.try_emplace(score.category, state_->scorer).first->second.Add(score, empty);
  if (!id.empty()) state_->ids.insert(std::move(id));

  OrderedJson members = {{"score", score.score}};
  members.update(score.found);
  return WithMembers(line, parsed, members);
}

std::string Scoring::Summary(IncompleteGroups incomplete) const {
  OrderedJson summary = {{"scorer", state_->scorer.info.name}};
  state_->all.Write(incomplete, summary);
  if (!state_->categories.empty()) {
    OrderedJson& categories = summary["categories"] = OrderedJson::object();
    for (const auto& [name, sums] : state_->categories) {
      OrderedJson& category = categories[name] = OrderedJson::object();
      sums.Write(incomplete, category);
    }
  }
  return Dump({{"summary", summary}});
}

}  // namespace binocle
