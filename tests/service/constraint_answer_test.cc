// Constraints against the text of real answers: AnswerBuilder's, in both prompt formats.
#include <gtest/gtest.h>

#include <limits>

#include "core/exec.h"
#include "llm/constraint/compiled_constraint.h"
#include "service/engine/answer_builder.h"

namespace binocle {
namespace {

const std::string kTiny = std::string(BINOCLE_TEST_DATA) + "/../../models/binocle-tiny";

// Tokens that a generator chooses among those allowed.
class RandomChoice {
 public:
  int32_t operator()(const ConstrainedAnswer& answer, std::vector<float>& logits) {
    for (float& logit : logits)
      logit = static_cast<float>((state_ = state_ * 1664525u + 1013904223u) >> 8);
    answer.Restrict(logits);
    size_t best = 0;
    for (size_t i = 1; i < logits.size(); ++i) best = logits[i] > logits[best] ? i : best;
    EXPECT_GT(logits[best], -std::numeric_limits<float>::infinity());
    return static_cast<int32_t>(best);
  }

 private:
  uint32_t state_ = 7;
};

TEST(ConstrainedAnswer, TheReportedTextIsOfTheLanguage) {
  for (const std::string& directory : {std::string(BINOCLE_TEST_DATA) + "/binocle_ftz",
                                       std::string(BINOCLE_TEST_DATA) + "/llava", kTiny}) {
    Exec ex(1);
    const VlmModel model(ex, CheckedModel(directory, {}), 64);
    const int32_t usable = model.tokenizer().vocabulary_size();
    std::vector<int32_t> ends;
    for (int32_t id = 0; id < usable; ++id) {
      if (model.IsEndToken(id)) ends.push_back(id);
    }
    const auto vocabulary =
        std::make_shared<const ConstraintVocabulary>(model.tokenizer(), usable, ends);
    const Choices choices{
        {"red", "re", " red", "  two cats", "réd", "日本🙂", "a red cat", "\n", "5"}};
    const Constraint constraints[] = {
        choices, Regex{" {0,3}[a-zé]{1,4}( ?日| |\\.)"},
        JsonSchema{R"({"type":"object","properties":{"a":{"enum":["x","ü"]}},"required":["a"]})"}};
    RandomChoice choose;
    std::vector<float> logits(static_cast<size_t>(usable) + 3);
    for (const Constraint& constraint : constraints) {
      for (const PromptFormat format : {PromptFormat::kChat, PromptFormat::kRaw}) {
        const auto compiled = CompiledConstraint::Compile(
            constraint, vocabulary,
            format == PromptFormat::kChat ? LeadingText::kDropSpace : LeadingText::kKeep);
        for (int round = 0; round < 40; ++round) {
          const Observer observer;
          AnswerBuilder builder(0, model, {}, format, observer);
          ConstrainedAnswer answer(compiled);
          for (int step = 0; step < 64 && !answer.Complete(); ++step) {
            const int32_t token = choose(answer, logits);
            answer.Push(token);
            EXPECT_EQ(builder.Push(token), !model.IsEndToken(token));
          }
          ASSERT_TRUE(answer.Complete());
          const std::string text = builder.Finish(FinishReason::kStop).text;
          EXPECT_TRUE(compiled->tokens().automaton().Accepts(text))
              << directory << ": '" << text << "'";
        }
      }
    }
  }
}

}  // namespace
}  // namespace binocle
