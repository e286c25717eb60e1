// What goes back to clients.
#include "service/grpc/convert_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/grpc/convert_interventions.h"
#include "service/grpc/convert_options.h"
#include "tests/service/grpc/testing.h"

namespace binocle {
namespace {

using ::testing::ElementsAre;
using testing::Parse;
using testing::SmallModel;

Response TwoAnswers() {
  Response response;
  response.id = "mine";
  response.model = "file";
  response.answers.push_back({.text = "yes",
                              .finish_reason = FinishReason::kStop,
                              .token_ids = {5, 2},
                              .logprobs = {{{.id = 5, .value = -0.5}, {.id = 6, .value = -1}}, {}},
                              .grounding = {0.5, 0.25}});
  response.answers.push_back({.text = "no",
                              .finish_reason = FinishReason::kLength,
                              .token_ids = {7},
                              .logprobs = {},
                              .grounding = {}});
  response.prompt_tokens = 20;
  response.image_tokens = 16;
  response.prompt_token_ids = {1, 9, 9};
  response.timings = {.load = 1,
                      .decode = 2,
                      .anchor = 3,
                      .augment = 4,
                      .fusion = 5,
                      .prefill = 6,
                      .first_token = 7,
                      .total = 8,
                      .per_token = 9};
  response.image_hits = 1;
  response.prefix_tokens = 4;
  response.interventions.pai =
      PaiOptions{.alpha = 0.3, .layers = Layers{2, 3}, .start = InterventionStart::kDecode};
  return response;
}

TEST(ConvertResponse, AskHasTheFirstAnswerAndAllOfThem) {
  const v1::AskResponse ask = AskResponseOf(TwoAnswers(), "served");
  EXPECT_EQ(ask.id(), "mine");
  EXPECT_EQ(ask.model(), "served");
  EXPECT_EQ(ask.answer(), "yes");
  EXPECT_EQ(ask.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(ask.usage().prompt_tokens(), 20);
  EXPECT_EQ(ask.usage().image_tokens(), 16);
  EXPECT_EQ(ask.usage().completion_tokens(), 3);
  EXPECT_EQ(ask.usage().prefix_tokens(), 4);
  EXPECT_EQ(ask.usage().image_hits(), 1);
  EXPECT_EQ(ask.timings().load(), 1);
  EXPECT_EQ(ask.timings().per_token(), 9);
  ASSERT_EQ(ask.answers_size(), 2);
  EXPECT_EQ(ask.answers(1).text(), "no");
  EXPECT_EQ(ask.answers(1).finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_THAT(ask.answers(0).token_ids(), ElementsAre(5, 2));
  ASSERT_EQ(ask.answers(0).logprobs_size(), 2);
  EXPECT_EQ(ask.answers(0).logprobs(0).tokens(1).id(), 6);
  EXPECT_EQ(ask.answers(0).logprobs(0).tokens(1).value(), -1);
  EXPECT_THAT(ask.answers(0).grounding(), ElementsAre(0.5, 0.25));
  EXPECT_THAT(ask.prompt_token_ids(), ElementsAre(1, 9, 9));
  EXPECT_EQ(ask.interventions().pai().alpha(), 0.3);
}

TEST(ConvertResponse, AStreamsLastMessageRepeatsNoText) {
  const v1::GenerateFinished finished = FinishedOf(TwoAnswers()).finished();
  EXPECT_EQ(finished.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(finished.usage().completion_tokens(), 3);
  ASSERT_EQ(finished.answers_size(), 2);
  EXPECT_EQ(finished.answers(0).completion_tokens(), 2);
  EXPECT_EQ(finished.answers(0).logprobs_size(), 2);
}

TEST(ConvertResponse, DeltasAndStartsArrive) {
  const v1::GenerateResponse delta = DeltaOf({.answer = 1, .text = "hé", .token_ids = {3, 4}});
  EXPECT_EQ(delta.delta().answer(), 1);
  EXPECT_EQ(delta.delta().text(), "hé");
  EXPECT_THAT(delta.delta().token_ids(), ElementsAre(3, 4));
  const v1::GenerateResponse started = StartedOf({.prompt_tokens = 5, .image_tokens = 2}, "a", "m");
  EXPECT_EQ(started.started().id(), "a");
  EXPECT_EQ(started.started().model(), "m");
  EXPECT_EQ(started.started().prompt_tokens(), 5);
}

TEST(ConvertResponse, InterventionsComeBackAsTheyWent) {
  const std::string text = R"(
      var { p: 0.1 rho: 0.2 tau: 3 mass: 0.4 layers { first: 0 last: 5 } dims: 6 dims: 7 compat: VAR_COMPAT_RELEASE }
      pai { alpha: 0.5 layers { first: 2 last: 3 } start: INTERVENTION_START_DECODE }
      vcd { alpha: 2 beta: 0.3 steps: 4 })";
  const auto proto = Parse<v1::Interventions>(text);
  Violations violations;
  EXPECT_EQ(InterventionsToProto(InterventionsOf(proto, violations)).DebugString(),
            proto.DebugString());
  const auto other = Parse<v1::Interventions>(R"(
      modulate { alpha: 1 beta: 2 local: 0.3 spatial: 0.4 layers { first: 5 last: 6 } heads: MODULATION_HEADS_CALIBRATED
                 start: INTERVENTION_START_PREFILL }
      guidance { gamma: 2 cut: 0 })");
  EXPECT_EQ(InterventionsToProto(InterventionsOf(other, violations)).DebugString(),
            other.DebugString());
  EXPECT_TRUE(violations.empty());
}

TEST(ConvertResponse, AModelIsToldWithoutItsPath) {
  ModelInfo info = SmallModel();
  info.path = "/secret/place";
  const v1::Model model = ModelOf(info, "served", WithTensors::kYes);
  EXPECT_EQ(model.name(), "served");
  EXPECT_EQ(model.vocabulary(), 100);
  EXPECT_THAT(model.composite_layers(), ElementsAre(1, 2, 3));
  EXPECT_EQ(model.parts(0).properties(0).value(), "8");
  EXPECT_THAT(model.tensors(0).shape(), ElementsAre(2, 3));
  EXPECT_EQ(model.DebugString().find("secret"), std::string::npos);
  EXPECT_EQ(ModelOf(info, "served", WithTensors::kNo).tensors_size(), 0);
}

TEST(ConvertResponse, AnExplanationArrives) {
  Explanation e;
  e.response = TwoAnswers();
  e.layers = {1, 2};
  e.heads = {0, 3};
  e.rows = 1;
  e.cols = 2;
  e.seen = {{.width = 1, .height = 1, .rgb = {1, 2, 255}}};
  e.tokens = {{.id = 5, .text = "y\xC3", .visual_mass = 0.5, .grounding = 0.25}};
  ExplainedWord word;
  word.text = "yes";
  word.end = 3;
  word.map = {.patches = {{0.5F, 0.25F}}, .visual_mass = 0.8};
  word.faithfulness = {{.pearson = 0.5, .spearman = {}, .curves = {}}};
  e.words = {word};
  e.sinks.layers = {{.layer = 1,
                     .sinks = {{.position = 0, .text = "<s>", .phi = 30.0}},
                     .first_token_norm = 9,
                     .agreement = 1}};
  e.head_report = {
      .layers = 1, .heads = 1, .mass = 0.2, .rho = 0.5, .statistics = {{.visual_mass = 0.5}}};
  const v1::ExplainResponse proto = ExplainResponseOf(e, "served");
  EXPECT_EQ(proto.response().answer(), "yes");
  EXPECT_EQ(proto.layers().last(), 2);
  EXPECT_EQ(proto.seen(0).rgb(), "\x01\x02\xFF");
  EXPECT_EQ(proto.tokens(0).text(), "y\xEF\xBF\xBD");
  EXPECT_THAT(proto.words(0).map().patches(0).weights(), ElementsAre(0.5F, 0.25F));
  EXPECT_TRUE(proto.words(0).faithfulness(0).has_pearson());
  EXPECT_FALSE(proto.words(0).faithfulness(0).has_spearman());
  EXPECT_FALSE(proto.sinks().layers(0).sinks(0).has_image());
  EXPECT_EQ(proto.sinks().layers(0).sinks(0).phi(), 30);
  EXPECT_FALSE(proto.head_report().statistics(0).has_non_sink_ratio());
  std::string bytes;
  EXPECT_TRUE(proto.SerializeToString(&bytes));
}

}  // namespace
}  // namespace binocle
