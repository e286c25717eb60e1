// Interventions through the engine: off is off, chunks and caches change nothing, and each does something when it is on. That they do
// the right thing is compared with transformers in tests/cli/interventions_test.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "binocle/engine.h"
#include "service/engine/contrast.h"
#include "tests/service/answers.h"
#include "tests/testing/errors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenModel;
using testing::Raw;
using testing::SameAnswer;
using testing::Scene;

const std::string kPrompt = "Look at the light: <image> What colour is it?";

Request PictureQuestion(const Interventions& interventions = {}) {
  Request request = Raw(kPrompt, {Scene("61x83")});
  request.interventions = interventions;
  return request;
}

// The dimensions of these models are not special; a low τ makes sinks of some tokens.
Interventions Var(double p = 0.6) {
  return {.var = VarOptions{
              .p = p, .rho = 0.2, .tau = 2.2, .mass = 0.1, .layers = Layers{0, 2}, .dims = {1, 4}}};
}

std::vector<Interventions> Everything() {
  Interventions release = Var(0.3);
  release.var->compat = VarOptions::Compat::kRelease;
  release.var->rho = 0.9;
  Interventions modulate, pai, guidance, vcd, both;
  modulate.modulate = ModulationOptions{
      .alpha = 2, .beta = 1, .local = 0.4, .spatial = 0.1, .layers = Layers{0, 2}};
  pai.pai = PaiOptions{.alpha = 2, .layers = Layers{0, 2}};
  guidance.guidance = GuidanceOptions{.gamma = 3, .cut = 0.001};
  vcd.vcd = VcdOptions{.alpha = 2, .beta = 0.001, .steps = 900};
  both = Var();
  both.modulate = modulate.modulate;
  both.guidance = guidance.guidance;
  return {Var(), release, modulate, pai, guidance, vcd, both};
}

class WithInterventions : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, WithInterventions,
                         ::testing::Values("binocle_ftz", "binocle_vo", "binocle_mixed_vo",
                                           "binocle_interleave", "llava"));

TEST_P(WithInterventions, OffIsOffToTheBit) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const Response first = engine.Generate(PictureQuestion());
  // On a GPU products of other numbers of rows round otherwise (ADR 0019), and what is cached is no row: with the same cached, off is off to the bit there too.
  const Response plain = engine.Generate(PictureQuestion());
  if (testing::TestDevice() == "cpu") {
    EXPECT_TRUE(SameAnswer(plain, first));
  }
  Interventions release = Var(1), nothing;
  release.var->compat = VarOptions::Compat::kRelease;
  nothing.modulate = ModulationOptions{.alpha = 0, .beta = 0, .layers = Layers{0, 2}};
  Interventions pai;
  pai.pai = PaiOptions{.alpha = 0, .layers = Layers{0, 2}};
  for (const Interventions& off : {Var(0), release, nothing, pai})
    EXPECT_TRUE(SameAnswer(engine.Generate(PictureQuestion(off)), plain));
  Request grounded = PictureQuestion();
  grounded.grounding = true;
  EXPECT_TRUE(SameAnswer(engine.Generate(grounded), plain)) << "measuring changes nothing";
  EXPECT_TRUE(SameAnswer(engine.Generate(PictureQuestion()), plain)) << "nothing is left behind";
}

TEST_P(WithInterventions, EachChangesTheAnswerAndRepeatsToTheBit) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const Response plain = engine.Generate(PictureQuestion());
  const std::vector<Interventions> all = Everything();
  for (size_t i = 0; i < all.size(); ++i) {
    const Response changed = engine.Generate(PictureQuestion(all[i]));
    EXPECT_FALSE(SameAnswer(changed, plain)) << i;
    EXPECT_TRUE(SameAnswer(engine.Generate(PictureQuestion(all[i])), changed)) << i;
  }
}

TEST_P(WithInterventions, HowThePromptIsCutAndWhatIsCachedDoNotMatter) {
  const std::vector<Interventions> all = Everything();
  Engine whole = testing::LoadEngine(GoldenModel(GetParam()), {.threads = 1});
  for (const int64_t chunk : {1, 7}) {
    Engine cut = testing::LoadEngine(GoldenModel(GetParam()),
                                     {.prefill_chunk_tokens = chunk, .image_cache_bytes = 0});
    for (size_t i = 0; i < all.size(); ++i) {
      Request request = PictureQuestion(all[i]);
      request.grounding = true;
      const Response want = whole.Generate(request), got = cut.Generate(request);
      EXPECT_TRUE(SameAnswer(got, want)) << i << ", chunks of " << chunk;
      EXPECT_EQ(got.answers[0].grounding, want.answers[0].grounding) << i;
    }
  }
}

TEST_P(WithInterventions, SeveralAnswersStartFromTheSamePrompt) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  for (const Interventions& interventions : Everything()) {
    Request request = PictureQuestion(interventions);
    request.generation.n = 2;
    request.grounding = true;
    const Response both = engine.Generate(request);
    EXPECT_EQ(both.answers[0].token_ids, both.answers[1].token_ids);
    EXPECT_EQ(both.answers[0].grounding, both.answers[1].grounding);
    EXPECT_EQ(both.answers[0].grounding.size(), both.answers[0].token_ids.size());
  }
}

TEST(Interventions, StartingAtDecodeLeavesTheFirstTokenAlone) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});
  const Response plain = engine.Generate(PictureQuestion());
  Interventions pai;
  pai.pai = PaiOptions{.alpha = 2, .layers = Layers{0, 2}, .start = InterventionStart::kDecode};
  Request request = PictureQuestion(pai);
  const Response later = engine.Generate(request);
  for (size_t k = 0; k < plain.answers[0].logprobs[0].size(); ++k)
    EXPECT_EQ(later.answers[0].logprobs[0][k].value, plain.answers[0].logprobs[0][k].value);
  EXPECT_NE(later.answers[0].logprobs[1][0].value, plain.answers[0].logprobs[1][0].value);
}

TEST(Interventions, GroundingIsAShareOfAttention) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});
  Request request = PictureQuestion();
  request.grounding = true;
  const Response r = engine.Generate(request);
  ASSERT_EQ(r.answers[0].grounding.size(), r.answers[0].token_ids.size());
  for (const double g : r.answers[0].grounding) {
    EXPECT_GE(g, 0);
    EXPECT_LE(g, 1 + 1e-6);
  }
  Request text = Raw("Tell me about it.", {});
  text.grounding = true;
  const Response blind = engine.Generate(text);
  for (const double g : blind.answers[0].grounding) EXPECT_EQ(g, 0);
}

TEST(Interventions, ResponsesSayWhatWasApplied) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});
  Interventions asked;
  asked.pai = PaiOptions{.layers = Layers{1, 1}};
  const Response r = engine.Generate(PictureQuestion(asked));
  ASSERT_TRUE(r.interventions.pai.has_value());
  EXPECT_EQ(r.interventions.pai->layers->first, 1);
  EXPECT_FALSE(r.interventions.var.has_value());
}

std::string ErrorOf(Engine& engine, const Request& request) {
  return testing::ErrorOf([&] { engine.Generate(request); });
}

TEST(Interventions, WhatMeansNothingIsRefused) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});  // three layers
  Interventions i;
  i.var = VarOptions{.layers = Layers{0, 1}};
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)).substr(0, 24), "FAILED_PRECONDITION: var");
  i.var->dims = {28};
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)),
            "INVALID_ARGUMENT: var.dims has 28, expected 0 to 27");
  i = Var(1.5);
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)), "INVALID_ARGUMENT: var.p is 1.5, expected 0 to 1");
  i = Var();
  i.var->layers.reset();
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)),
            "INVALID_ARGUMENT: var.layers is 2-1 by default, expected first-last within 0-2");
  i = {};
  i.pai = PaiOptions{.alpha = NAN, .layers = Layers{0, 1}};
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)),
            "INVALID_ARGUMENT: pai.alpha is nan, expected -10 to 10");
  i.pai->alpha = 1;
  i.modulate = ModulationOptions{.layers = Layers{0, 1}};
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)),
            "INVALID_ARGUMENT: modulate and pai change the same scores, expected one of them");
  i = {.var = {}, .modulate = {}, .pai = {}, .guidance = GuidanceOptions{}, .vcd = VcdOptions{}};
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)).substr(0, 17), "INVALID_ARGUMENT:");
  i.vcd.reset();
  Request text = Raw("No picture.", {});
  text.interventions = i;
  EXPECT_EQ(ErrorOf(engine, text),
            "INVALID_ARGUMENT: guidance needs a picture, the request has none");
  i = {};
  i.modulate =
      ModulationOptions{.layers = Layers{0, 1}, .heads = ModulationOptions::Heads::kCalibrated};
  EXPECT_EQ(ErrorOf(engine, PictureQuestion(i)).substr(0, 35),
            "FAILED_PRECONDITION: modulate.heads");
}

// The cut goes by the best token that the constraint allows: with the best of all it may leave none.
TEST(Interventions, CutsLeaveSomethingThatTheConstraintAllows) {
  Engine engine =
      testing::LoadEngine(std::string(BINOCLE_TEST_DATA) + "/../../models/binocle-tiny", {});
  for (const bool guided : {true, false}) {
    Request request = Ask("What is in the top left?", {Scene("61x83")});
    request.constraint = Choices{{"red", "blue"}};
    if (guided) request.interventions.guidance = GuidanceOptions{};
    if (!guided) request.interventions.vcd = VcdOptions{};
    const std::string text = engine.Generate(request).answers.at(0).text;
    EXPECT_TRUE(text == "red" || text == "blue") << text;
  }
}

TEST(Guide, IsTheLineThroughBothDistributions) {
  const std::vector<float> other = {0, 1, 2, 3};
  std::vector<float> logits = {3, 1, 0, -9};
  Guide({.gamma = 2, .cut = 0.01}, *std::max_element(logits.begin(), logits.end()), other, logits);
  const auto log_softmax = [](std::vector<double> l, size_t i) {
    double sum = 0;
    for (const double x : l) sum += std::exp(x);
    return l[i] - std::log(sum);
  };
  for (size_t i = 0; i < 3; ++i) {
    const double l = log_softmax({3, 1, 0, -9}, i), u = log_softmax({0, 1, 2, 3}, i);
    EXPECT_NEAR(logits[i], u + 2 * (l - u), 1e-6);
  }
  EXPECT_EQ(logits[3], -INFINITY) << "e^-12 of the best";
}

TEST(Contrast, SubtractsTheOtherAndCutsByTheCleanLogits) {
  const std::vector<float> other = {0, 1, -50};
  std::vector<float> logits = {3, 1, 0};
  Contrast({.alpha = 0.5, .beta = 0.1}, *std::max_element(logits.begin(), logits.end()), other,
           logits);
  EXPECT_FLOAT_EQ(logits[0], 4.5F);
  EXPECT_FLOAT_EQ(logits[1], 1.0F);
  EXPECT_EQ(logits[2], -INFINITY) << "e^-3 < 0.1, whatever the other says";
}

}  // namespace
}  // namespace binocle
