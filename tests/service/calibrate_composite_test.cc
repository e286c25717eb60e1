// Which layers may be composite: the movements are PyTorch's, and what is proposed keeps its promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "binocle/calibrate.h"
#include "core/json.h"
#include "service/engine/composite_meter.h"
#include "service/engine/visual_work.h"
#include "tests/service/answers.h"
#include "tests/testing/errors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using testing::GoldenModel;
using ::testing::HasSubstr;
using testing::Scene;

const std::vector<std::string> kScenes = {"61x83", "130x70", "70x70"};

CalibrationInput Scenes(const std::vector<std::string>& sizes = kScenes) {
  CalibrationInput input{.images = {}, .max_new_tokens = 16};
  for (const std::string& size : sizes) input.images.push_back(Scene(size));
  return input;
}

Aligner AlignerOf(const std::string& name) {
  return name == "none" ? Aligner::kNone : name == "vo" ? Aligner::kVo : Aligner::kVoFfn;
}

// KL divergences as composite_goldens.py has them: f32 logits on both sides, sums in double.
void ExpectNear(double got, double want, const std::string& what) {
  EXPECT_NEAR(got, want, std::max(1e-4 * want, 1e-6)) << what;
}

void ExpectMovements(const std::vector<CompositeMovement>& got, const Json& want,
                     const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const std::string place = what + " " + std::to_string(i);
    EXPECT_EQ(got[i].layer, want[i]["layer"].get<int64_t>()) << place;
    ExpectNear(got[i].movement, want[i]["movement"].get<double>(), place);
    EXPECT_EQ(got[i].changed_tokens, want[i]["changed_tokens"].get<int64_t>()) << place;
    EXPECT_NEAR(got[i].saved, want[i]["saved"].get<double>(), 1e-12) << place;
  }
}

class CompositeGolden : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, CompositeGolden, ::testing::Values("llava", "llava_sinks"));

TEST_P(CompositeGolden, MovementsAreThoseOfPyTorch) {
  const Json golden = ReadJsonFile(GoldenModel(GetParam()) + "/composite.json");
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  CalibrationInput input{.images = {}, .prompt = golden["prompt"].get<std::string>()};
  for (const Json& path : golden["images"])
    input.images.push_back(
        ImageInput::FromFile(GoldenModel(GetParam()) + "/" + path.get<std::string>()));
  for (size_t i = 0; i < input.images.size(); ++i) {
    const Json& want = golden["answers"][i];
    input.max_new_tokens = std::ssize(want["token_ids"]);
    Request request = Ask(input.prompt, {input.images[i]});
    request.generation.max_new_tokens = input.max_new_tokens;
    const Response response = engine.Generate(request);
    EXPECT_EQ(Json(response.prompt_token_ids), want["prompt_token_ids"]);
    EXPECT_EQ(Json(response.answers[0].token_ids), want["token_ids"]);
  }
  for (const Json& run : golden["runs"]) {
    const std::string aligner = run["aligner"];
    const CompositeCalibration found =
        CalibrateComposite(engine, input, {.aligner = AlignerOf(aligner)});
    ExpectMovements(found.alone, run["alone"], aligner + " alone");
    ExpectMovements(found.together, run["together"], aligner + " together");
  }
}

class CompositeProposal : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, CompositeProposal,
                         ::testing::Values("llava", "llava_sinks", "binocle_ftz",
                                           "binocle_mixed_vo"));

TEST_P(CompositeProposal, NoLayerMovesNothing) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const CompositeMeter meter(engine, Scenes());
  const LayerPlan own = EngineAccess(engine).loaded().model.config().layers;
  const CompositeMeter::Movement movement = meter.Measure(own);
  EXPECT_EQ(movement.mean, 0);
  EXPECT_EQ(movement.changed_tokens, 0);
  EXPECT_EQ(meter.Saved(own), 0);
}

// Nothing reads what the last layer makes of a visual token, so that layer is free where it is stock.
TEST_P(CompositeProposal, ABudgetOfNothingTakesWhatChangesNothing) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const CompositeCalibration found = CalibrateComposite(engine, Scenes(), {.budget = 0});
  EXPECT_EQ(found.movement, 0);
  EXPECT_EQ(found.changed_tokens, 0);
  const int64_t last = std::ssize(EngineAccess(engine).loaded().model.config().layers.kinds) - 1;
  EXPECT_TRUE(found.layers.Contains(last)) << found.layers.Text();
  if (found.layers.empty()) return;
  Request request = Ask("Describe the picture.", {Scene("61x83")});
  request.generation.logprobs = 300;
  const Response want = engine.Generate(request);
  request.attention.composite_layers = found.layers;
  request.attention.aligner = found.aligner;
  EXPECT_TRUE(testing::SameAnswer(engine.Generate(request), want)) << "to the bit";
}

TEST_P(CompositeProposal, StaysWithinItsBudgetAndGrowsWithIt) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const CalibrationInput input = Scenes({"61x83"});
  const CompositeMeter meter(engine, input);
  const LayerPlan own = EngineAccess(engine).loaded().model.config().layers;
  const CompositeCalibration all = CalibrateComposite(engine, input, {.budget = 100});
  EXPECT_EQ(all.proposed, std::ssize(all.together));
  std::vector<double> budgets{0, 100};
  for (const CompositeMovement& m : all.together)
    budgets.insert(budgets.end(), {m.movement, m.movement * 0.999});
  std::sort(budgets.begin(), budgets.end());
  int64_t before = 0;
  for (const double budget : budgets) {
    const CompositeCalibration found = CalibrateComposite(engine, input, {.budget = budget});
    EXPECT_LE(found.movement, budget);
    EXPECT_GE(found.proposed, before) << budget;
    before = found.proposed;
    // Measured again, with the layers that are named and no others.
    LayerPlan plan = own;
    for (size_t l = 0; l < plan.kinds.size(); ++l) {
      const bool composite = found.layers.Contains(static_cast<int64_t>(l));
      EXPECT_TRUE(composite || own.kinds[l] == LayerKind::kStock) << "it was already";
      plan.kinds[l] = composite ? LayerKind::kComposite : LayerKind::kStock;
    }
    EXPECT_EQ(meter.Measure(plan).mean, found.movement);
    EXPECT_EQ(meter.Saved(plan), found.saved);
  }
}

TEST_P(CompositeProposal, IsTheSameInWhateverOrderThePicturesComeAndPromptsAreCut) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const std::string want = CalibrateComposite(engine, Scenes(), {}).Json();
  EXPECT_EQ(CalibrateComposite(engine, Scenes(), {}).Json(), want) << "again";
  EXPECT_EQ(CalibrateComposite(engine, Scenes({"70x70", "61x83", "130x70"}), {}).Json(), want);
  Engine cut = testing::LoadEngine(
      GoldenModel(GetParam()), {.threads = 2, .prefill_chunk_tokens = 7, .image_cache_bytes = 0});
  EXPECT_EQ(CalibrateComposite(cut, Scenes({"130x70", "70x70", "61x83"}), {}).Json(), want);
}

TEST_P(CompositeProposal, LeavesTheEngineAsItWas) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  const auto ask = [&] {
    Request request = Ask("Describe the picture.", {Scene("61x83")});
    request.generation.logprobs = 300;
    return engine.Generate(request);
  };
  const Response want = ask();
  CalibrateComposite(engine, Scenes({"61x83"}), {});
  EXPECT_TRUE(testing::SameAnswer(ask(), want));
}

TEST(CompositeCalibration, AModelsOwnCompositeLayersAreTheBeginning) {
  Engine mixed = testing::LoadEngine(GoldenModel("binocle_mixed_vo"), {});
  const CompositeCalibration found = CalibrateComposite(mixed, Scenes({"61x83"}), {.budget = 100});
  EXPECT_FALSE(found.own_layers.empty());
  EXPECT_EQ(found.aligner, Aligner::kVo);
  EXPECT_EQ(found.layers.Text(), "0-" + std::to_string(found.layers.last()));
  EXPECT_THAT(
      ErrorOf([&] { CalibrateComposite(mixed, Scenes({"61x83"}), {.aligner = Aligner::kVoFfn}); }),
      HasSubstr("INVALID_ARGUMENT: aligner is vo_ffn, expected vo"));
}

TEST(CompositeCalibration, AModelThatIsCompositeThroughoutIsRefused) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
  EXPECT_THAT(
      ErrorOf([&] { CalibrateComposite(engine, Scenes({"61x83"}), {}); }),
      HasSubstr("FAILED_PRECONDITION: binocle-vo: every layer is composite already, expected"));
  Engine stock = testing::LoadEngine(GoldenModel("binocle_vo"), {.attention = "stock"});
  EXPECT_EQ(CalibrateComposite(stock, Scenes({"61x83"}), {}).aligner, Aligner::kVo);
}

TEST(CompositeCalibration, OptionsAndPicturesAreChecked) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});
  for (const double budget : {-0.1, 101.0, std::nan("")})
    EXPECT_THAT(ErrorOf([&] { CalibrateComposite(engine, Scenes(), {.budget = budget}); }),
                HasSubstr("INVALID_ARGUMENT: budget is "));
  EXPECT_THAT(ErrorOf([&] { CalibrateComposite(engine, Scenes({}), {}); }),
              HasSubstr("INVALID_ARGUMENT: calibrate: there is no picture"));
  Engine text = testing::LoadEngine(GoldenModel("gguf_models/llava.gguf"), {});
  EXPECT_THAT(ErrorOf([&] { CalibrateComposite(text, Scenes(), {}); }),
              HasSubstr("llava is a text model"));
}

TEST(CompositeCalibration, EverySetIsReported) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});
  std::vector<std::pair<int64_t, int64_t>> calls;
  CalibrateComposite(engine, Scenes({"61x83"}), {.on_set = [&](int64_t done, int64_t total) {
                       calls.emplace_back(done, total);
                     }});
  ASSERT_EQ(calls.size(), 5U);
  for (size_t i = 0; i < calls.size(); ++i)
    EXPECT_EQ(calls[i], (std::pair<int64_t, int64_t>(static_cast<int64_t>(i) + 1, 5)));
}

TEST(KlDivergence, IsItsDefinition) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const float step : {0.0F, 1e-6F, 1e-3F, 1.0F, 30.0F}) {
    std::vector<float> from(331), to(331);
    for (size_t i = 0; i < from.size(); ++i) {
      from[i] = 5 * normal(random);
      to[i] = from[i] + step * normal(random);
    }
    const auto log_softmax = [](const std::vector<float>& x) {
      long double sum = 0;
      for (const float v : x) sum += std::exp(static_cast<long double>(v));
      std::vector<long double> out;
      for (const float v : x) out.push_back(v - std::log(sum));
      return out;
    };
    const auto p = log_softmax(from), q = log_softmax(to);
    long double want = 0;
    for (size_t i = 0; i < p.size(); ++i) want += std::exp(p[i]) * (p[i] - q[i]);
    EXPECT_NEAR(KlDivergence(from, to), static_cast<double>(want),
                1e-15 + 1e-9 * static_cast<double>(want));
    EXPECT_EQ(KlDivergence(from, from), 0);
  }
  EXPECT_GE(KlDivergence(std::vector<float>{1000, 0}, std::vector<float>{0, 1000}), 999);
}

TEST(VisualMultiplyAdds, CountRowsTimesWeightsAndKeysSeen) {
  const LlamaConfig config{.width = 8,
                           .ff_width = 20,
                           .layers = 2,
                           .heads = 4,
                           .kv_heads = 2,
                           .head_dim = 3,
                           .windows = {0, 4}};
  const ExpandedPrompt prompt{.ids = {}, .images = {{.first_position = 2, .tokens = 3}}};
  const int64_t q = 96, kv = 96, out = 96, ffn = 480, key = 24;
  LayerPlan plan = LayerPlan::Stock(2);
  const int64_t first = 3 * (q + kv + out + ffn) + key * (3 + 4 + 5);
  const int64_t second = 3 * (q + kv + out + ffn) + key * (3 + 4 + 4);
  EXPECT_EQ(VisualMultiplyAdds(config, plan, prompt), first + second);
  plan.kinds[0] = LayerKind::kComposite;
  plan.aligner = Aligner::kNone;
  EXPECT_EQ(VisualMultiplyAdds(config, plan, prompt), 3 * kv + second);
  plan.aligner = Aligner::kVo;
  EXPECT_EQ(VisualMultiplyAdds(config, plan, prompt), 3 * (kv + out) + second);
  plan.aligner = Aligner::kVoFfn;
  EXPECT_EQ(VisualMultiplyAdds(config, plan, prompt), 3 * (kv + out + ffn) + second);
}

}  // namespace
}  // namespace binocle
