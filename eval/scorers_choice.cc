// Scorers of multiple-choice questions.
#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "eval/choices.h"
#include "eval/scorer.h"

namespace binocle::eval {
namespace {

constexpr size_t kLetters = 26;

LineScore Judge(Letter wanted, std::optional<Letter> chosen) {
  OrderedJson parsed;
  if (chosen) parsed = std::string(1, *chosen);
  return {.score = chosen == wanted ? 1.0 : 0.0,
          .answered = chosen.has_value(),
          .found = {{"parsed", parsed}}};
}

// CircularEval: a question that was asked with its options in turned order counts where every turn was right. There are as many turns as
// options; a question of which some are missing is no question that was answered, and leaving them out would make it an easier one.
class CircularTally : public Tally {
 public:
  void Add(const LineScore& line) override {
    const bool right = line.score > 0;
    if (line.group.empty()) {
      ++questions_;
      right_ += right ? 1 : 0;
      return;
    }
    Question& question = groups_[line.group];
    ++question.lines;
    question.turns = std::max(question.turns, line.turns);
    question.right = question.right && right;
  }

  void Write(IncompleteGroups incomplete, OrderedJson& out) const override {
    int64_t questions = questions_;
    int64_t right = right_;
    int64_t left_out = 0;
    for (const auto& [name, question] : groups_) {
      if (question.lines != question.turns) {
        if (incomplete == IncompleteGroups::kRefused)
          ThrowInvalid("group ", name, " has ", question.lines, " lines, expected ", question.turns,
                       ", one for each turn of its options");
        ++left_out;
        continue;
      }
      ++questions;
      right += question.right ? 1 : 0;
    }
    out["questions"] = questions;
    out["circular"] =
        questions == 0 ? OrderedJson()
                       : OrderedJson(static_cast<double>(right) / static_cast<double>(questions));
    if (incomplete == IncompleteGroups::kLeftOut) out["incomplete_groups"] = left_out;
  }

 private:
  struct Question {
    int64_t lines = 0;
    int64_t turns = 0;
    bool right = true;
  };

  int64_t questions_ = 0;  // without a group
  int64_t right_ = 0;
  std::map<std::string, Question> groups_;
};

LineScore Mmbench(const Fields& line,
                  std::optional<Letter> (*infer)(TextView, const std::vector<Text>&)) {
  const std::vector<Text> options = line.Options();
  LineScore score = Judge(line.WantedLetter(options.size()), infer(line.Prediction(), options));
  score.group = line.NameOr("group");
  score.turns = std::ssize(options);
  return score;
}

LineScore Mmmu(const Fields& line, MmmuRules rules) {
  const std::vector<Text> options = line.Options();
  return Judge(line.WantedLetter(options.size()),
               ParseMmmuChoice(line.Prediction(), options, rules));
}

// Anything that is no letter is no answer; the published script counts it as wrong all the same.
LineScore SeedLetter(const Fields& line) {
  const Letter wanted = line.WantedLetter(kLetters);
  const Text first = Lower(FirstCharacter(line.Prediction()));
  const bool is_letter = first.size() == 1 && first[0] >= U'a' && first[0] <= U'z';
  if (!is_letter) return Judge(wanted, std::nullopt);
  return Judge(wanted, static_cast<Letter>(first[0] - U'a' + U'A'));
}

// The option with the smallest loss; of equals the first.
LineScore ChoiceRank(const Fields& line) {
  const std::vector<double> losses = line.Numbers("losses");
  const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
  return Judge(line.WantedLetter(losses.size()), static_cast<Letter>('A' + best));
}

LineScore ScienceQa(const Fields& line) {
  const size_t options = line.Options().size();
  return Judge(line.WantedLetter(options), ParseScienceQa(line.Prediction(), options));
}

LineScore ScienceQaLmms(const Fields& line) {
  const bool right = IsScienceQaLmmsMatch(line.Prediction(), line.WantedLetter(kLetters));
  return {.score = right ? 1.0 : 0.0};
}

}  // namespace

std::vector<ScorerDefinition> ChoiceScorers() {
  return {
      {.info = {"mmbench_letter",
                "MMBench without a judge, and CircularEval",
                {"prediction", "answer", "options"},
                {"group"},
                "MMBench's evaluator in lmms-eval"},
       .score = [](const Fields& line) { return Mmbench(line, InferMmbench); },
       .tally = std::make_unique<CircularTally>},
      {.info = {"mmbench_vlmeval",
                "the same with looser letters",
                {"prediction", "answer", "options"},
                {"group"},
                "VLMEvalKit"},
       .score = [](const Fields& line) { return Mmbench(line, InferMmbenchVlmeval); },
       .tally = std::make_unique<CircularTally>},
      {.info = {"mmmu_mc",
                "MMMU's multiple choice",
                {"prediction", "answer", "options"},
                {},
                "eval_utils.py, MMMU-Benchmark/MMMU"},
       .score = [](const Fields& line) { return Mmmu(line, MmmuRules::kOfficial); }},
      {.info = {"mmmu_mc_lmms",
                "MMMU's multiple choice, looser letters",
                {"prediction", "answer", "options"},
                {},
                "lmms-eval"},
       .score = [](const Fields& line) { return Mmmu(line, MmmuRules::kLmms); }},
      {.info = {"seed_letter",
                "SEED-Bench, the first character",
                {"prediction", "answer"},
                {},
                "lmms-eval"},
       .score = SeedLetter},
      {.info = {"choice_rank",
                "the option with the smallest loss",
                {"answer", "losses"},
                {},
                "eval.py, AILab-CVC/SEED-Bench"},
       .score = ChoiceRank},
      {.info = {"scienceqa",
                "ScienceQA, a letter or a phrase",
                {"prediction", "answer", "options"},
                {},
                "LLaVA's eval_science_qa.py"},
       .score = ScienceQa},
      {.info = {"scienceqa_lmms",
                "ScienceQA, a letter alone or with a full stop",
                {"prediction", "answer"},
                {},
                "lmms-eval"},
       .score = ScienceQaLmms},
  };
}

}  // namespace binocle::eval
