// Finding sinks and sensitive heads: planted ones are found, noise and offsets that all tokens share are not.
#include "binocle/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "core/json.h"
#include "service/engine/engine_access.h"
#include "service/engine/sink_finder.h"
#include "tests/service/answers.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using ::testing::ElementsAre;
using testing::GoldenModel;
using ::testing::IsEmpty;
using testing::Scene;

constexpr int64_t kLayers = 6, kTokens = 150;

// Hidden states of some pictures: Gaussian, with what a test plants in them.
class Planted : public ::testing::TestWithParam<int64_t> {
 protected:
  // change(layer, token, row) for every row of `pictures`.
  SinkCalibration Find(const std::function<void(int64_t, int64_t, float*)>& change,
                       int64_t pictures = 5) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    SinkFinder finder(kLayers, width());
    for (int64_t p = 0; p < pictures; ++p) {
      finder.BeginPicture();
      for (int64_t l = 0; l < kLayers; ++l) {
        Tensor x = Tensor::F32({kTokens, width()});
        for (int64_t t = 0; t < kTokens; ++t) {
          for (int64_t d = 0; d < width(); ++d) x.row(t)[d] = normal(random);
          change(l, t, x.row(t));
        }
        finder.LayerInput(l, 0, x.view().Rows(0, 40));  // in two pieces
        finder.LayerInput(l, 40, x.view().Rows(40, kTokens));
      }
    }
    return finder.Find();
  }
  int64_t width() const { return GetParam(); }
  // A value that makes a token of unit Gaussians `share` of the way to the most massive there can be.
  float Massive(double share) const {
    return static_cast<float>(
        std::sqrt(share * share * static_cast<double>(width()) / (1 - share * share)));
  }
};
INSTANTIATE_TEST_SUITE_P(Widths, Planted, ::testing::Values(64, 256, 1024));

TEST_P(Planted, NoiseHasNoSinks) {
  const SinkCalibration found = Find([](int64_t, int64_t, float*) {});
  EXPECT_THAT(found.dims, IsEmpty());
  EXPECT_LT(found.strongest.at(0).strength, found.threshold);
  EXPECT_THAT(found.WhyNone(), ::testing::HasSubstr(" times the RMS, expected "));
}

TEST_P(Planted, DimensionsWhereAFewTokensAreMassiveAreFound) {
  const SinkCalibration found = Find([&](int64_t l, int64_t t, float* row) {
    if (l >= 1 && t == 0) row[41] = Massive(0.9);
    if (l >= 1 && (t == 17 || t == 90)) row[7] = -Massive(0.9);
  });
  EXPECT_THAT(found.dims, ElementsAre(7, 41));
  EXPECT_GE(found.tau, found.threshold / 1.5);
  EXPECT_LT(found.tau, 0.9 * std::sqrt(static_cast<double>(width())));
  const SinkDimension& first = found.strongest.at(found.strongest[0].dim == 41 ? 0 : 1);
  EXPECT_TRUE(first.first_token);
  EXPECT_EQ(first.first_layer, 1);
  EXPECT_EQ(first.last_layer, kLayers - 1);
  EXPECT_LT(first.tokens, 0.1);
}

TEST_P(Planted, AnOffsetThatAllTokensShareIsNoSink) {
  const SinkCalibration alone = Find([&](int64_t, int64_t, float* row) { row[3] = Massive(0.8); });
  EXPECT_THAT(alone.dims, IsEmpty());
  EXPECT_THAT(alone.WhyNone(), ::testing::HasSubstr("100 % of the tokens share it"));
  const SinkCalibration beside = Find([&](int64_t l, int64_t t, float* row) {
    row[3] = Massive(0.5);
    if (l >= 2 && t == 0) row[20] = 3 * Massive(0.9);
  });
  EXPECT_THAT(beside.dims, ElementsAre(20));
}

TEST_P(Planted, OnePictureOrOneLayerIsNotEnough) {
  int64_t calls = 0;
  const SinkCalibration one_picture = Find([&](int64_t, int64_t t, float* row) {
    if (calls++ < kLayers * kTokens && t == 0) row[9] = Massive(0.9);
  });
  EXPECT_THAT(one_picture.dims, IsEmpty());
  const SinkCalibration one_layer = Find([&](int64_t l, int64_t t, float* row) {
    if (l == 2 && t == 0) row[9] = Massive(0.9);
  });
  EXPECT_THAT(one_layer.dims, IsEmpty());
}

TEST_P(Planted, DimensionsThatFadeIntoTheRestAreNoAnswer) {
  const SinkCalibration found = Find([&](int64_t, int64_t t, float* row) {
    for (int64_t d = 0; d < 30; ++d)
      if (t == d) row[d] = Massive(0.95 - 0.01 * static_cast<double>(d));
  });
  EXPECT_THAT(found.dims, IsEmpty()) << "more than a handful";
}

TEST(SinkFinder, TauIsThePublishedOneAtThePublishedWidth) {
  EXPECT_DOUBLE_EQ(SinkFinder(1, 4096).threshold(), 20);
}

// Every position of the prompt enters every layer once, wherever its rows are computed.
class LayerInputs : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, LayerInputs,
                         ::testing::Values("llava", "binocle_ftz", "binocle_vo",
                                           "binocle_mixed_vo"));

class Counter : public LayerInputObserver {
 public:
  void LayerInput(int64_t layer, int64_t first_position, const TensorView& x) override {
    for (int64_t t = 0; t < x.dim(0); ++t) {
      ++seen[{layer, first_position + t}];
      sums[{layer, first_position + t}] = x.row(t)[0];
    }
  }
  std::map<std::pair<int64_t, int64_t>, int> seen;
  std::map<std::pair<int64_t, int64_t>, float> sums;
};

TEST_P(LayerInputs, EveryPositionEntersEveryLayerOnce) {
  std::map<std::pair<int64_t, int64_t>, float> whole;
  for (const int64_t chunk : {512, 7}) {
    Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {.prefill_chunk_tokens = chunk});
    Request request = Ask("What is it?", {Scene("61x83")});
    request.generation.max_new_tokens = 3;
    const Response plain = engine.Generate(request);
    for (int i = 0; i < 2; ++i) {  // again, when the picture is in the cache
      Counter counter;
      const EngineAccess access(engine);
      const LoadedModel loaded = access.loaded();
      const int64_t layers = loaded.model.config().text.layers;
      const Response watched =
          access.Run(std::make_unique<PreparedRequest>(loaded, request), {}, {.inputs = &counter});
      EXPECT_EQ(watched.answers[0].token_ids, plain.answers[0].token_ids);
      EXPECT_EQ(std::ssize(counter.seen), layers * (plain.prompt_tokens + 2));
      for (const auto& [place, times] : counter.seen)
        EXPECT_EQ(times, 1) << "layer " << place.first << " position " << place.second;
      if (whole.empty()) whole = counter.sums;
      EXPECT_EQ(counter.sums, whole);
    }
  }
}

TEST(CalibrateHeads, FactorsAreMassesOverTheirMeanInTheLayer) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  const CalibrationInput input{.images = {Scene("61x83"), Scene("70x70")}, .max_new_tokens = 5};
  const HeadCalibration found = CalibrateHeads(engine, input, {0, 100});
  EXPECT_EQ(found.pictures, 2);
  EXPECT_GE(found.tokens, 2);
  EXPECT_LE(found.tokens, 10);
  ASSERT_EQ(std::ssize(found.factors), found.layers * found.heads);
  for (int64_t l = 0; l < found.layers; ++l) {
    double mean = 0;
    for (int64_t h = 0; h < found.heads; ++h) {
      const auto at = static_cast<size_t>(l * found.heads + h);
      EXPECT_GT(found.visual_mass[at], 0);
      EXPECT_LT(found.visual_mass[at], 1);
      mean += found.factors[at] / static_cast<double>(found.heads);
    }
    EXPECT_NEAR(mean, 1, 1e-9);
  }
  const HeadCalibration ones = CalibrateHeads(engine, input, {1, 1});
  EXPECT_THAT(ones.factors, ::testing::Each(1.0));
  const Json json = ParseJson(found.Json(), "json");
  EXPECT_EQ(json.at("factors").size(), found.factors.size());
}

TEST(Calibrate, WhatMakesNoSenseIsRefused) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  EXPECT_THROW(CalibrateSinks(engine, {}), Error);
  const CalibrationInput input{.images = {Scene("70x70")}};
  EXPECT_THROW(CalibrateHeads(engine, input, {2, 1}), Error);
  EXPECT_THROW(CalibrateHeads(engine, input, {-1, 1}), Error);
  EXPECT_THROW(CalibrateSinks(engine, {.images = {Scene("70x70")}, .max_new_tokens = 0}), Error);
}

}  // namespace
}  // namespace binocle
