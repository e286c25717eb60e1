// Scorers of short texts.
#include <algorithm>
#include <utility>

#include "eval/mmmu_open.h"
#include "eval/scorer.h"
#include "eval/short_answers.h"
#include "eval/vqa.h"

namespace binocle::eval {
namespace {

std::vector<std::string> Required() { return {"prediction", "references|answer"}; }

LineScore Vqa(const Fields& line, VqaScore (*rule)(TextView, const std::vector<Text>&)) {
  const VqaScore score = rule(line.Prediction(), line.References());
  return {.score = score.accuracy, .found = {{"parsed", ToUtf8(score.answer)}}};
}

// The best over the references.
LineScore AnyOf(const Fields& line, bool (*match)(TextView, TextView)) {
  const Text prediction = line.Prediction();
  const std::vector<Text> references = line.References();
  const bool right = std::any_of(references.begin(), references.end(), [&](const Text& reference) {
    return match(prediction, reference);
  });
  return {.score = right ? 1.0 : 0.0};
}

bool IsOfficialGqaMatch(TextView answer, TextView reference) {
  return PrepareGqa(answer) == reference;
}

OrderedJson MmmuJson(const MmmuValue& value) {
  if (const auto* text = std::get_if<Text>(&value)) return ToUtf8(*text);
  return std::get<double>(value);  // a number that JSON has not, such as inf, becomes null
}

LineScore MmmuOpen(const Fields& line) {
  const std::vector<MmmuValue> said = ParseMmmuOpen(line.Prediction());
  OrderedJson parsed = OrderedJson::array();
  for (const MmmuValue& value : said) parsed.push_back(MmmuJson(value));
  return {.score = IsMmmuOpenMatch(said, line.References()) ? 1.0 : 0.0,
          .found = {{"parsed", parsed}}};
}

}  // namespace

std::vector<ScorerDefinition> TextScorers() {
  return {
      {.info = {"vqa_v2",
                "VQA accuracy over ten answers, leave one out",
                Required(),
                {},
                "vqaEval.py, GT-Vision-Lab/VQA"},
       .score = [](const Fields& line) { return Vqa(line, ScoreVqaV2); }},
      {.info = {"textvqa",
                "VQA accuracy with the other processor of answers",
                Required(),
                {},
                "M4C's evaluator, facebookresearch/mmf"},
       .score = [](const Fields& line) { return Vqa(line, ScoreTextVqa); }},
      {.info = {"anls",
                "edit similarity over the length that was compared",
                Required(),
                {},
                "Biten et al. 2019, Scene Text VQA"},
       .score =
           [](const Fields& line) {
             return LineScore{
                 .score = ScoreAnls(line.Prediction(), line.References(), AnlsLength::kCompared)};
           }},
      {.info = {"anls_raw",
                "edit similarity over the length as given",
                Required(),
                {},
                "the Robust Reading Competition's script"},
       .score =
           [](const Fields& line) {
             return LineScore{
                 .score = ScoreAnls(line.Prediction(), line.References(), AnlsLength::kRaw)};
           }},
      {.info = {"relaxed_accuracy",
                "numbers within 5 %, other texts the same but for case",
                Required(),
                {},
                "pix2struct, for ChartQA"},
       .score = [](const Fields& line) { return AnyOf(line, IsRelaxedMatch); }},
      {.info = {"exact_match",
                "the same but for case and blanks around",
                Required(),
                {},
                "VLMEvalKit's accuracy"},
       .score = [](const Fields& line) { return AnyOf(line, IsExactMatch); }},
      {.info = {"gqa", "the same but for case and punctuation", Required(), {}, "lmms-eval"},
       .score = [](const Fields& line) { return AnyOf(line, IsGqaMatch); }},
      {.info = {"gqa_official",
                "the same, once in lower case without full stops at the end",
                Required(),
                {},
                "GQA's eval.py after LLaVA's conversion"},
       .score = [](const Fields& line) { return AnyOf(line, IsOfficialGqaMatch); }},
      {.info = {"mmmu_open",
                "MMMU's open questions",
                Required(),
                {},
                "eval_utils.py, MMMU-Benchmark/MMMU"},
       .score = MmmuOpen},
  };
}

}  // namespace binocle::eval
