// Requests that become what they say.
#include "service/grpc/convert_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/service/grpc/testing.h"

namespace binocle {
namespace {

using ::testing::ElementsAre;
using testing::MapImages;
using testing::Parse;
using testing::SmallModel;

const std::string kId(64, 'a');

class ConvertRequestTest : public ::testing::Test {
 protected:
  Request Convert(const std::string& text) {
    Request request = RequestOf(Parse<v1::GenerateRequest>(text), context(), violations_);
    EXPECT_EQ(violations_.Summary(), "");
    return request;
  }
  ConvertContext context() { return {model_, limits_, images_}; }

  ModelInfo model_ = SmallModel();
  RequestLimits limits_;
  MapImages images_;
  Violations violations_;
};

TEST_F(ConvertRequestTest, APromptIsOneUserMessageWithTheDefaults) {
  const Request request = Convert("prompt: 'What?'");
  ASSERT_EQ(request.messages.size(), 1U);
  EXPECT_EQ(request.messages[0].text, "What?");
  EXPECT_EQ(request.messages[0].role, MessageRole::kUser);
  const GenerationOptions defaults;
  EXPECT_EQ(request.generation.max_new_tokens, defaults.max_new_tokens);
  EXPECT_EQ(request.generation.top_p, defaults.top_p);
  EXPECT_FALSE(request.system);
  EXPECT_FALSE(request.grounding);
  EXPECT_FALSE(request.interventions.var);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(request.constraint));
}

TEST_F(ConvertRequestTest, EverySamplingOptionArrives) {
  const Request request = Convert(R"(
      id: 'mine' prompt: 'What?' prompt_format: PROMPT_FORMAT_CHAT system: '' logprobs: 5 priority: -3 grounding: true
      sampling { max_new_tokens: 7 temperature: 0.5 top_k: 3 top_p: 0.9 min_p: 0.1 repetition_penalty: 1.5
                 seed: 18446744073709551615 stop: 'a' stop: 'b' n: 2 })");
  EXPECT_EQ(request.id, "mine");
  EXPECT_EQ(request.system, "");
  EXPECT_EQ(request.priority, -3);
  EXPECT_TRUE(request.grounding);
  const GenerationOptions& g = request.generation;
  EXPECT_EQ(g.max_new_tokens, 7);
  EXPECT_EQ(g.temperature, 0.5);
  EXPECT_EQ(g.top_k, 3);
  EXPECT_EQ(g.top_p, 0.9);
  EXPECT_EQ(g.min_p, 0.1);
  EXPECT_EQ(g.repetition_penalty, 1.5);
  EXPECT_EQ(g.seed, UINT64_MAX);
  EXPECT_THAT(g.stop, ElementsAre("a", "b"));
  EXPECT_EQ(g.n, 2);
  EXPECT_EQ(g.logprobs, 5);
}

TEST_F(ConvertRequestTest, AZeroThatIsSetIsNoDefault) {
  const Request request = Convert(R"(prompt: 'What?' images { data: 'x' exif: false }
      sampling { top_p: 0 } interventions { var { p: 0 tau: 0 } modulate { local: 0 } guidance { cut: 0 } })");
  EXPECT_EQ(request.generation.top_p, 0);
  EXPECT_EQ(request.interventions.var->p, 0);
  EXPECT_EQ(request.interventions.var->tau, 0);
  EXPECT_EQ(request.interventions.modulate->local, 0);
  EXPECT_EQ(request.interventions.guidance->cut, 0);
  EXPECT_FALSE(request.messages[0].images[0].exif);
}

TEST_F(ConvertRequestTest, AMessageThatIsThereIsOnWithItsDefaults) {
  const Request request =
      Convert("prompt: 'What?' images { data: 'x' } interventions { var {} pai {} vcd {} }");
  EXPECT_EQ(request.interventions.var->p, VarOptions().p);
  EXPECT_FALSE(request.interventions.var->tau);
  EXPECT_EQ(request.interventions.pai->alpha, PaiOptions().alpha);
  EXPECT_EQ(request.interventions.vcd->steps, VcdOptions().steps);
  EXPECT_FALSE(request.interventions.modulate);
}

TEST_F(ConvertRequestTest, EveryInterventionOptionArrives) {
  const Interventions i = Convert(R"(prompt: 'What?' images { data: 'x' } interventions {
      var { p: 0.1 rho: 0.2 tau: 3 mass: 0.4 layers { first: 0 last: 5 } dims: 6 dims: 7 compat: VAR_COMPAT_RELEASE }
      modulate { alpha: 1 beta: 2 local: 0.3 spatial: 0.4 layers { first: 5 last: 6 } heads: MODULATION_HEADS_CALIBRATED
                 start: INTERVENTION_START_DECODE }
      vcd { alpha: 2 beta: 0.3 steps: 4 } })")
                              .interventions;
  EXPECT_EQ(i.var->p, 0.1);
  EXPECT_EQ(i.var->rho, 0.2);
  EXPECT_EQ(i.var->tau, 3);
  EXPECT_EQ(i.var->mass, 0.4);
  EXPECT_EQ(i.var->layers->first, 0);
  EXPECT_EQ(i.var->layers->last, 5);
  EXPECT_THAT(i.var->dims, ElementsAre(6, 7));
  EXPECT_EQ(i.var->compat, VarOptions::Compat::kRelease);
  EXPECT_EQ(i.modulate->alpha, 1);
  EXPECT_EQ(i.modulate->beta, 2);
  EXPECT_EQ(i.modulate->local, 0.3);
  EXPECT_EQ(i.modulate->spatial, 0.4);
  EXPECT_EQ(i.modulate->layers->last, 6);
  EXPECT_EQ(i.modulate->heads, ModulationOptions::Heads::kCalibrated);
  EXPECT_EQ(i.modulate->start, InterventionStart::kDecode);
  EXPECT_EQ(i.vcd->alpha, 2);
  EXPECT_EQ(i.vcd->beta, 0.3);
  EXPECT_EQ(i.vcd->steps, 4);
}

TEST_F(ConvertRequestTest, PicturesComeAsBytesOrByIdAndAreCalledByTheirPath) {
  images_.images[kId] = "stored";
  const Request request =
      Convert("prompt: 'What?' images { data: 'bytes' } images { id: '" + kId + "' }");
  const std::vector<ImageInput>& images = request.messages[0].images;
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].bytes, "bytes");
  EXPECT_EQ(images[1].bytes, "stored");
  EXPECT_EQ(images[1].path, "images[1]");
  EXPECT_TRUE(images[0].exif);
}

TEST_F(ConvertRequestTest, ADialogueKeepsItsTurnsAndTheRequestsPicturesComeFirst) {
  const Request request = Convert(R"(images { data: '1' }
      messages { role: ROLE_USER text: 'a' images { data: '2' } } messages { role: ROLE_ASSISTANT text: 'b' }
      messages { role: ROLE_USER text: 'c' images { data: '3' } })");
  ASSERT_EQ(request.messages.size(), 3U);
  ASSERT_EQ(request.messages[0].images.size(), 2U);
  EXPECT_EQ(request.messages[0].images[0].bytes, "1");
  EXPECT_EQ(request.messages[0].images[1].path, "messages[0].images[0]");
  EXPECT_EQ(request.messages[1].role, MessageRole::kAssistant);
  EXPECT_EQ(request.messages[2].images[0].bytes, "3");
}

TEST_F(ConvertRequestTest, ConstraintsArrive) {
  const auto choices = Convert("prompt: 'a' constraint { choices { values: 'yes' values: 'no' } }");
  EXPECT_THAT(std::get<Choices>(choices.constraint).values, ElementsAre("yes", "no"));
  EXPECT_EQ(std::get<Regex>(Convert("prompt: 'a' constraint { regex: 'x+' }").constraint).pattern,
            "x+");
  EXPECT_EQ(std::get<JsonSchema>(Convert("prompt: 'a' constraint { json_schema: '{}' }").constraint)
                .schema,
            "{}");
}

TEST_F(ConvertRequestTest, AttentionArrives) {
  AttentionOptions a = Convert("prompt: 'a' attention {}").attention;
  EXPECT_FALSE(a.kind || a.composite_layers || a.aligner);
  a = Convert(
          "prompt: 'a' attention { kind: ATTENTION_KIND_COMPOSITE composite_layers { first: 5 "
          "last: 5 } composite_layers { first: 1 last: 3 "
          "} aligner: ALIGNER_VO }")
          .attention;
  EXPECT_EQ(a.kind, AttentionKind::kComposite);
  EXPECT_EQ(a.composite_layers->Text(), "1-3,5");
  EXPECT_EQ(a.aligner, Aligner::kVo);
  EXPECT_EQ(Convert("prompt: 'a' attention { aligner: ALIGNER_NONE }").attention.aligner,
            Aligner::kNone);
  EXPECT_EQ(Convert("prompt: 'a' attention { kind: ATTENTION_KIND_STOCK }").attention.kind,
            AttentionKind::kStock);
}

TEST_F(ConvertRequestTest, ARawPromptIsRaw) {
  EXPECT_EQ(Convert("prompt: '<image>a' images { data: '1' } prompt_format: PROMPT_FORMAT_RAW")
                .prompt_format,
            PromptFormat::kRaw);
}

TEST_F(ConvertRequestTest, ExplainOptionsArrive) {
  const ExplainInput input = ExplainInputOf(
      Parse<v1::ExplainRequest>(
          R"(prompt: 'a' images { data: '1' } layers { first: 1 last: 2 } heads: 3 heads: 1 cosine: 0.5
          faithfulness { blocks: 9 curve_points: 4 word_curves: true seed: 5 })"),
      context(), violations_);
  EXPECT_EQ(violations_.Summary(), "");
  EXPECT_EQ(input.options.layers->last, 2);
  EXPECT_THAT(input.options.heads, ElementsAre(3, 1));
  EXPECT_EQ(input.options.cosine, 0.5);
  EXPECT_EQ(input.options.faithfulness->blocks, 9);
  EXPECT_EQ(input.options.faithfulness->curve_points, 4);
  EXPECT_TRUE(input.options.faithfulness->word_curves);
  EXPECT_EQ(input.options.faithfulness->seed, 5U);
}

TEST_F(ConvertRequestTest, EmbedInputArrives) {
  const EmbedInput input =
      EmbedInputOf(Parse<v1::EmbedRequest>(
                       "images { data: '1' } texts: 'a' pooling: POOLING_TOKENS normalize: true"),
                   context(), violations_);
  EXPECT_EQ(violations_.Summary(), "");
  EXPECT_EQ(input.images.size(), 1U);
  EXPECT_THAT(input.texts, ElementsAre("a"));
  EXPECT_EQ(input.options.pooling, Pooling::kTokens);
  EXPECT_TRUE(input.options.normalize);
}

}  // namespace
}  // namespace binocle
