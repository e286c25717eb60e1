// Scorers of captions: CHAIR.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "eval/scorer.h"

namespace binocle::eval {
namespace {

// A caption repeats itself where fewer of its sequences of four words than this are different.
constexpr double kRepetition = 0.5;

OrderedJson Ratio(double part, double whole) {
  return whole == 0 ? OrderedJson() : OrderedJson(part / whole);
}

// A mean over those that have a value.
class Mean {
 public:
  void Add(std::optional<double> value) {
    if (!value) return;
    sum_ += *value;
    ++count_;
  }
  OrderedJson Json() const { return Ratio(sum_, count_); }

 private:
  double sum_ = 0;
  double count_ = 0;
};

int64_t CommonCount(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::count_if(a.begin(), a.end(),
                       [&](const std::string& name) { return b.contains(name); });
}

class ChairTally : public Tally {
 public:
  void Add(const LineScore& line) override {
    const auto& caption = std::get<CaptionOutcome>(line.outcome);
    captions_ += 1;
    hallucinated_captions_ += caption.hallucinated > 0 ? 1 : 0;
    mentions_ += static_cast<double>(caption.mentions);
    hallucinated_ += static_cast<double>(caption.hallucinated);
    right_ += static_cast<double>(CommonCount(caption.named, caption.there));
    named_ += static_cast<double>(caption.named.size());
    there_ += static_cast<double>(caption.there.size());
    words_.Add(static_cast<double>(caption.style.words));
    distinct_1_.Add(caption.style.distinct_1);
    distinct_2_.Add(caption.style.distinct_2);
    distinct_4_.Add(caption.style.distinct_4);
    repetitive_ += caption.style.distinct_4.value_or(1) < kRepetition ? 1 : 0;
  }

  void Write(IncompleteGroups, OrderedJson& out) const override {
    out["chair_s"] = Ratio(hallucinated_captions_, captions_);
    out["chair_i"] = Ratio(hallucinated_, mentions_);
    out["recall"] = Ratio(right_, there_);
    out["precision"] = Ratio(right_, named_);
    // 2·P·R / (P + R) with P = right/named and R = right/there.
    out["f1"] = Ratio(2 * right_, named_ + there_);
    out["words"] = words_.Json();
    out["distinct_1"] = distinct_1_.Json();
    out["distinct_2"] = distinct_2_.Json();
    out["distinct_4"] = distinct_4_.Json();
    out["repetition"] = Ratio(repetitive_, captions_);
    out["mentions"] = std::llround(mentions_);
    out["hallucinated_mentions"] = std::llround(hallucinated_);
  }

 private:
  double captions_ = 0;
  double hallucinated_captions_ = 0;
  double mentions_ = 0;
  double hallucinated_ = 0;
  double right_ = 0;  // named objects that are there
  double named_ = 0;
  double there_ = 0;
  double repetitive_ = 0;
  Mean words_;
  Mean distinct_1_;
  Mean distinct_2_;
  Mean distinct_4_;
};

// What is in the picture: "objects", and what the reference captions name.
std::set<std::string> ObjectsThere(const Fields& line, const CaptionObjects& objects) {
  if (!line.Has("objects") && !line.Has("references"))
    ThrowInvalid("objects is missing, expected a list of objects, or references");
  std::set<std::string> there;
  for (const std::string& name : line.Texts("objects")) {
    std::string category = objects.CategoryOf(name);
    if (category.empty())
      line.Fail("objects", "objects that are known or words for them, and " + Printable(name, 60) +
                               " is none");
    there.insert(std::move(category));
  }
  for (const std::string& caption : line.Texts("references")) {
    for (std::string& category : objects.Named(FromUtf8(caption)))
      there.insert(std::move(category));
  }
  return there;
}

LineScore Chair(const Fields& line, const CaptionObjects& objects) {
  const Text caption = line.Prediction();
  const std::vector<std::string> named = objects.Named(caption);
  CaptionOutcome outcome{.mentions = std::ssize(named),
                         .named = {named.begin(), named.end()},
                         .there = ObjectsThere(line, objects),
                         .style = StyleOf(caption)};
  OrderedJson hallucinated = OrderedJson::array();
  for (const std::string& category : named) {
    if (!outcome.there.contains(category)) hallucinated.push_back(category);
  }
  outcome.hallucinated = std::ssize(hallucinated);
  const auto right = static_cast<double>(CommonCount(outcome.named, outcome.there));
  OrderedJson found = {{"named", named},
                       {"hallucinated", hallucinated},
                       {"chair_i", named.empty() ? 0
                                                 : static_cast<double>(hallucinated.size()) /
                                                       static_cast<double>(named.size())},
                       {"recall", Ratio(right, static_cast<double>(outcome.there.size()))},
                       {"words", outcome.style.words}};
  return {.score = hallucinated.empty() ? 1.0 : 0.0,
          .found = std::move(found),
          .outcome = std::move(outcome)};
}

}  // namespace

std::vector<ScorerDefinition> CaptionScorers(const std::string& table) {
  // Owned by the definition's copies.
  const auto known =
      table.empty() ? std::make_shared<CaptionObjects>() : std::make_shared<CaptionObjects>(table);
  return {{.info = {"chair",
                    "objects that captions name and pictures have not",
                    {"prediction", "objects|references"},
                    {},
                    "Rohrbach et al. 2018; see docs/evaluation.md for its words"},
           .score = [objects = known](const Fields& line) { return Chair(line, *objects); },
           .tally = std::make_unique<ChairTally>}};
}

}  // namespace binocle::eval
