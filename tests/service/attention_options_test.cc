// Attention per request: the tokens are those of an engine that was loaded with it, whoever else is there and whatever is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <random>

#include "binocle/engine.h"
#include "binocle/explain.h"
#include "tests/service/answers.h"
#include "tests/testing/errors.h"
#include "tests/testing/golden.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using testing::GoldenModel;
using ::testing::HasSubstr;
using testing::Raw;
using testing::SameAnswer;
using testing::Scene;

// A kind of attention, for a request and for an engine.
struct Kind {
  AttentionOptions asked;
  EngineOptions loaded;
};

AttentionOptions Stock() { return {.kind = AttentionKind::kStock}; }
AttentionOptions Composite(std::optional<LayerRanges> layers, std::optional<Aligner> aligner) {
  return {
      .kind = AttentionKind::kComposite, .composite_layers = std::move(layers), .aligner = aligner};
}

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {{}, {}},
      {Stock(), {.attention = "stock"}},
      {Composite({}, {}), {.attention = "composite"}},
      {Composite({}, Aligner::kVoFfn), {.attention = "composite", .aligner = "vo_ffn"}},
      {Composite(LayerRanges::Parse("0-2"), Aligner::kVo),
       {.attention = "composite", .composite_layers = "0-2", .aligner = "vo"}},
      {{.composite_layers = LayerRanges::Parse("1")}, {.composite_layers = "1"}},
      {{.composite_layers = LayerRanges::Parse("2,0")}, {.composite_layers = "0,2"}},
      {{.composite_layers = LayerRanges::Parse("1-2"), .aligner = Aligner::kNone},
       {.composite_layers = "1-2", .aligner = "none"}}};
  return kinds;
}

// Some of the questions; pictures that come back, at other places, last, twice.
Request Question(size_t i) {
  const Request questions[] = {Raw("<image>What is it?", {Scene("61x83")}),
                               Raw("<image>What colour?", {Scene("61x83")}),
                               Raw("Look at <image> and <image>", {Scene("61x83"), Scene("70x70")}),
                               Raw("Tell me about the cat and the dog.", {})};
  return questions[i % std::size(questions)];
}
constexpr size_t kQuestions = 4;

class AttentionPerRequest : public ::testing::TestWithParam<const char*> {
 protected:
  // By kind, then by question.
  std::vector<std::vector<Response>> OfLoaded() {
    std::vector<std::vector<Response>> all;
    for (const Kind& kind : Kinds()) {
      Engine engine = testing::LoadEngine(model_, kind.loaded);
      auto& answers = all.emplace_back();
      for (size_t q = 0; q < kQuestions; ++q) answers.push_back(engine.Generate(Question(q)));
    }
    return all;
  }
  static Request Asked(size_t kind, size_t question) {
    Request request = Question(question);
    request.attention = Kinds()[kind].asked;
    return request;
  }

  std::string model_ = GoldenModel(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Models, AttentionPerRequest,
                         ::testing::Values("binocle_ftz", "binocle_vo", "binocle_mixed_vo",
                                           "llava"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(AttentionPerRequest, GivesTheTokensOfAnEngineLoadedWithIt) {
  const auto want = OfLoaded();
  EXPECT_FALSE(SameAnswer(want[1][0], want[3][0])) << "kinds differ, or else this shows nothing";
  Engine engine = testing::LoadEngine(model_, {.kv_tokens = 4096});
  std::mt19937_64 random(1);
  for (int i = 0; i < 80; ++i) {
    const size_t kind = random() % Kinds().size(), question = random() % kQuestions;
    EXPECT_TRUE(SameAnswer(engine.Generate(Asked(kind, question)), want[kind][question]))
        << "kind " << kind << ", question " << question;
  }
  EXPECT_GT(engine.image_cache().hits, 0);
}

TEST_P(AttentionPerRequest, KindsRunSideBySide) {
  const auto want = OfLoaded();
  for (const int64_t chunk : {512, 9}) {
    Engine engine = testing::LoadEngine(model_, {.context_tokens = 192,
                                                 .prefill_chunk_tokens = chunk,
                                                 .max_sequences = 8,
                                                 .kv_tokens = 640});
    struct Asking {
      size_t kind, question;
      std::future<Response> answer;
    };
    std::vector<Asking> asking;
    std::mt19937_64 random(2);
    for (int i = 0; i < 32; ++i) {
      const size_t kind = random() % Kinds().size(), question = random() % kQuestions;
      auto done = std::make_shared<std::promise<Response>>();
      asking.push_back({kind, question, done->get_future()});
      engine.Submit(
          Asked(kind, question),
          {.on_finished = [done](Response r) { done->set_value(std::move(r)); },
           .on_error =
               [done](const Error& e) { done->set_exception(std::make_exception_ptr(e)); }});
    }
    for (Asking& one : asking) {
      EXPECT_TRUE(SameAnswer(one.answer.get(), want[one.kind][one.question]))
          << "kind " << one.kind << ", question " << one.question;
    }
    engine.Generate(Raw("x", {}, 1));
    const EngineStats stats = engine.stats();
    EXPECT_EQ(stats.free_pages + stats.prefix_pages, stats.pages);
  }
}

// Directories with the same weights and other configurations: the references are transformers'.
TEST(AttentionOptions, OneDirectoryGivesTheReferencesOfItsSiblings) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  const std::pair<const char*, AttentionOptions> siblings[] = {
      {"binocle_ftz", Stock()},
      {"binocle_vo", Composite({}, Aligner::kVo)},
      {"binocle_vo_ffn", Composite({}, {})},
      {"binocle_none", Composite({}, Aligner::kNone)},
      {"binocle_mixed_none", Composite(LayerRanges::Parse("1-2"), Aligner::kNone)}};
  for (const auto& [name, attention] : siblings) {
    const testing::GoldenCase golden(name);
    for (const Json& json : golden.json()["requests"]) {
      std::vector<ImageInput> images;
      for (const Json& image : json["images"])
        images.push_back(ImageInput::FromFile(golden.directory() / image.get<std::string>()));
      Request request = Raw(json["prompt"], std::move(images), 64);
      if (json["prompt_format"] != "raw") request.prompt_format = PromptFormat::kChat;
      if (json.contains("system")) request.system = json["system"].get<std::string>();
      request.attention = attention;
      EXPECT_EQ(engine.Generate(request).answers[0].token_ids,
                json["token_ids"].get<std::vector<int32_t>>())
          << name << " " << json["id"];
    }
  }
}

TEST(AttentionOptions, TextsShareTheirBeginningAndPicturesDoNot) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {.kv_tokens = 4096});
  const std::string text(150, 'a');
  const auto ask = [&](const std::string& prompt, const AttentionOptions& attention) {
    Request request = Raw(prompt, {Scene("61x83")});
    request.attention = attention;
    return engine.Generate(request);
  };
  ask(text + "<image>?", Stock());
  const Response composite =
      ask(text + "<image>?", {.composite_layers = LayerRanges::Parse("0-1")});
  EXPECT_GT(composite.prefix_tokens, 120) << "text before a picture is the same in all kinds";
  EXPECT_LT(composite.prefix_tokens, 156);
  EXPECT_EQ(composite.image_hits, 0);
  EXPECT_GT(ask(text + "<image>?", {.composite_layers = LayerRanges::Parse("0-1")}).prefix_tokens,
            170);
  EXPECT_EQ(ask(text + "<image>?", Stock()).image_hits, 1);
}

// Interventions, pairs of sequences and explanations see the request's attention too.
TEST(AttentionOptions, WhatWatchesAttentionSeesTheRequests) {
  const std::string model = GoldenModel("binocle_sinks_mixed");
  Engine plain = testing::LoadEngine(model, {});
  Engine loaded = testing::LoadEngine(model, {.attention = "composite", .composite_layers = "0-5"});
  Request request = Raw("<image>What is it?", {Scene("61x83")}, 8);
  request.interventions.var = VarOptions{.p = 0.6, .rho = 0.2, .tau = 4, .dims = {11, 40}};
  request.grounding = true;
  const auto with = [](Request r) {
    r.attention = Composite(LayerRanges::Parse("0-5"), {});
    return r;
  };
  const Response want = loaded.Generate(request);
  const Response got = plain.Generate(with(request));
  EXPECT_TRUE(SameAnswer(got, want));
  EXPECT_EQ(got.answers[0].grounding, want.answers[0].grounding);
  EXPECT_FALSE(SameAnswer(plain.Generate(request), want));

  const ExplainOptions options{.faithfulness = FaithfulnessOptions{.blocks = 4, .curve_points = 2}};
  const Explanation e = plain.Explain(with(request), options), f = loaded.Explain(request, options);
  EXPECT_EQ(e.map.patches, f.map.patches);
  EXPECT_EQ(e.faithfulness[0].pearson, f.faithfulness[0].pearson);
  EXPECT_EQ(e.sinks.layers.size(), f.sinks.layers.size());

  request.interventions = {.vcd = VcdOptions{.alpha = 2, .beta = 0.001, .steps = 900}};
  EXPECT_TRUE(SameAnswer(plain.Generate(with(request)), loaded.Generate(request)));
  request.interventions = {.guidance = GuidanceOptions{.gamma = 3, .cut = 0.001}};
  EXPECT_TRUE(SameAnswer(plain.Generate(with(request)), loaded.Generate(request)));
}

TEST(AttentionOptions, ContradictionsAreNamed) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  const auto error_of = [&](const AttentionOptions& attention) {
    Request request = Question(0);
    request.attention = attention;
    return ErrorOf([&] { engine.Generate(request); });
  };
  EXPECT_THAT(error_of(Composite(LayerRanges::Parse("0,2-9"), {})),
              HasSubstr("INVALID_ARGUMENT: composite_layers is 0,2-9, expected layers within 0-3"));
  EXPECT_THAT(error_of(Composite(LayerRanges(), {})), HasSubstr("composite_layers is empty"));
  EXPECT_THAT(
      error_of({.kind = AttentionKind::kStock, .composite_layers = LayerRanges::Parse("0-1")}),
      HasSubstr("composite_layers goes with composite attention, not stock"));
  EXPECT_THAT(error_of({.aligner = Aligner::kVo}), HasSubstr("aligner goes with composite"));
}

}  // namespace
}  // namespace binocle
