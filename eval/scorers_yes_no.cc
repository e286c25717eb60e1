// Scorers of yes-or-no questions: POPE and MME.
#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "eval/scorer.h"

namespace binocle::eval {
namespace {

// Null where nothing was counted.
OrderedJson Ratio(int64_t part, int64_t whole) {
  return whole == 0 ? OrderedJson()
                    : OrderedJson(static_cast<double>(part) / static_cast<double>(whole));
}

LineScore Judge(YesNo wanted, YesNo said) {
  return {.score = said == wanted ? 1.0 : 0.0,
          .answered = said != YesNo::kOther,
          .found = {{"parsed", YesNoName(said)}},
          .outcome = YesNoOutcome{wanted, said}};
}

// What an answer that is neither is to recall.
enum class Others { kLeftOut, kAsNo };

// Yes is positive.
class YesNoTally : public Tally {
 public:
  explicit YesNoTally(Others others) : others_(others) {}

  void Add(const LineScore& line) override {
    const auto& [wanted, said] = std::get<YesNoOutcome>(line.outcome);
    const bool yes = wanted == YesNo::kYes;
    if (said == YesNo::kOther) {
      ++other_;
      wanted_other_ += yes ? 1 : 0;
    } else if (said == YesNo::kYes) {
      ++(yes ? tp_ : fp_);
    } else {
      ++(yes ? fn_ : tn_);
    }
    wanted_yes_ += yes ? 1 : 0;
  }

  void Write(IncompleteGroups, OrderedJson& out) const override {
    const int64_t all = tp_ + fp_ + fn_ + tn_ + other_;
    out["accuracy"] = Ratio(tp_ + tn_, all);
    const OrderedJson precision = out["precision"] = Ratio(tp_, tp_ + fp_);
    const int64_t missed = fn_ + (others_ == Others::kAsNo ? wanted_other_ : 0);
    const OrderedJson recall = out["recall"] = Ratio(tp_, tp_ + missed);
    out["f1"] = nullptr;
    if (!precision.is_null() && !recall.is_null() && tp_ > 0) {
      const double p = precision.get<double>();
      const double r = recall.get<double>();
      out["f1"] = 2 * (p * r) / (p + r);
    }
    out["yes_ratio"] = Ratio(tp_ + fp_, all);
    out["wanted_yes_ratio"] = Ratio(wanted_yes_, all);
    out["tp"] = tp_;
    out["fp"] = fp_;
    out["tn"] = tn_;
    out["fn"] = fn_;
  }

 private:
  int64_t tp_ = 0;
  int64_t fp_ = 0;
  int64_t tn_ = 0;
  int64_t fn_ = 0;
  int64_t other_ = 0;
  int64_t wanted_other_ = 0;  // of these, where yes was wanted
  int64_t wanted_yes_ = 0;
  Others others_;
};

constexpr std::string_view kPerception[] = {"existence", "count", "position", "color",   "posters",
                                            "celebrity", "scene", "landmark", "artwork", "OCR"};
constexpr std::string_view kCognition[] = {"commonsense_reasoning", "numerical_calculation",
                                           "text_translation", "code_reasoning"};

// accuracy: right answers over answers. accuracy_plus: pictures with both answers right over pictures. A category's score is
// 100·(accuracy + accuracy_plus); the benchmark's are sums over its categories.
class MmeTally : public Tally {
 public:
  void Add(const LineScore& line) override {
    Picture& picture = categories_[line.category][line.group];
    ++picture.answers;
    picture.right += line.score > 0 ? 1 : 0;
  }

  void Write(IncompleteGroups incomplete, OrderedJson& out) const override {
    Counts all;
    double score = 0;
    double perception = 0;
    double cognition = 0;
    for (const auto& [category, pictures] : categories_) {
      const Counts counts = CountsOf(category, pictures, incomplete);
      all += counts;
      const double of_category = counts.Score();
      score += of_category;
      if (IsOneOf(category, kPerception)) perception += of_category;
      if (IsOneOf(category, kCognition)) cognition += of_category;
    }
    out["accuracy"] = Ratio(all.right, all.answers);
    out["accuracy_plus"] = Ratio(all.whole, all.pictures);
    out["mme"] = score;
    out["perception"] = perception;
    out["cognition"] = cognition;
    if (incomplete == IncompleteGroups::kLeftOut) out["incomplete_groups"] = all.incomplete;
  }

 private:
  struct Picture {
    int64_t answers = 0;
    int64_t right = 0;
  };
  using Pictures = std::map<std::string, Picture>;

  struct Counts {
    int64_t pictures = 0;
    int64_t whole = 0;  // pictures with both answers right
    int64_t answers = 0;
    int64_t right = 0;
    int64_t incomplete = 0;

    Counts& operator+=(const Counts& other) {
      pictures += other.pictures;
      whole += other.whole;
      answers += other.answers;
      right += other.right;
      incomplete += other.incomplete;
      return *this;
    }
    double Score() const {
      if (pictures == 0) return 0;
      return 100.0 * static_cast<double>(right) / static_cast<double>(answers) +
             100.0 * static_cast<double>(whole) / static_cast<double>(pictures);
    }
  };

  template <typename Names>
  static bool IsOneOf(const std::string& name, const Names& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  }

  static Counts CountsOf(const std::string& category, const Pictures& pictures,
                         IncompleteGroups incomplete) {
    Counts counts;
    for (const auto& [name, picture] : pictures) {
      if (picture.answers != 2) {
        if (incomplete == IncompleteGroups::kRefused)
          ThrowInvalid("group ", name, " of category ", category, " has ", picture.answers,
                       " lines, expected 2");
        ++counts.incomplete;
        continue;
      }
      ++counts.pictures;
      counts.answers += 2;
      counts.right += picture.right;
      counts.whole += picture.right == 2 ? 1 : 0;
    }
    return counts;
  }

  std::map<std::string, Pictures> categories_;
};

ScorerDefinition Pope(std::string name, std::string about, std::string source,
                      YesNo (*parse)(TextView), Others others = Others::kLeftOut) {
  return {
      .info = {std::move(name), std::move(about), {"prediction", "answer"}, {}, std::move(source)},
      .score =
          [parse](const Fields& line) {
            return Judge(line.WantedYesNo(), parse(line.Prediction()));
          },
      .tally = [others] { return std::make_unique<YesNoTally>(others); }};
}

ScorerDefinition Mme(std::string name, std::string about, std::string source,
                     YesNo (*parse)(TextView)) {
  return {.info = {std::move(name),
                   std::move(about),
                   {"prediction", "answer", "category", "group"},
                   {},
                   std::move(source)},
          .score =
              [parse](const Fields& line) {
                LineScore score = Judge(line.WantedYesNo(), parse(line.Prediction()));
                score.group = line.Name("group");
                line.Name("category");
                return score;
              },
          .tally = std::make_unique<MmeTally>};
}

}  // namespace

std::vector<ScorerDefinition> YesNoScorers() {
  ScorerDefinition vcd =
      Pope("pope_vcd", "POPE, yes or no as part of any word", "VCD's eval_pope.py", nullptr);
  vcd.score = [](const Fields& line) {
    const YesNo wanted = line.WantedYesNo();
    return Judge(wanted, ParsePopeVcd(line.Prediction(), wanted));
  };
  return {
      Pope("pope_llava", "POPE, no as a word of the first sentence", "POPE's evaluate.py, LLaVA",
           ParsePopeLlava),
      Pope("pope_opera", "POPE, no as a word, or a word in n't", "OPERA's pope_eval.py, PAI",
           ParsePopeOpera),
      std::move(vcd),
      Pope("pope_lmms", "POPE, exactly yes or no", "lmms-eval", ParsePopeLmms),
      Pope("pope_vlmeval", "POPE, yes or no as a word, not both", "VLMEvalKit", ParsePopeVlmeval,
           Others::kAsNo),
      Mme("mme", "MME, yes or no among the first four characters", "MME's calculation.py",
          ParseMme),
      Mme("mme_lmms", "MME, the same without blanks and full stops", "lmms-eval", ParseMmeLmms)};
}

}  // namespace binocle::eval
