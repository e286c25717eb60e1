// The parts of an explanation, one by one; through the program: tests/cli/explain_test.py.
#include "binocle/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <numeric>
#include <set>
#include <thread>

#include "service/engine/answer_words.h"
#include "service/engine/correlation.h"
#include "service/engine/engine_access.h"
#include "service/engine/faithfulness.h"
#include "service/engine/occluder.h"
#include "service/engine/overlay.h"
#include "service/engine/sink_recorder.h"
#include "tests/service/answers.h"
#include "tests/testing/errors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using testing::GoldenModel;
using ::testing::HasSubstr;
using testing::Scene;

// A tokenizer of fixed pieces: token i adds pieces[i], and bytes where a piece is no whole character.
class Pieces : public Tokenizer {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  std::vector<int32_t> Encode(std::string_view, AddSpecial) const override { return {}; }
  TokenPiece Piece(int32_t id) const override {
    const std::string& piece = pieces_.at(static_cast<size_t>(id));
    const bool whole = piece.empty() || (piece.back() & 0x80) == 0;
    return {.kind = whole ? TokenPiece::Kind::kText : TokenPiece::Kind::kBytes, .text = piece};
  }
  LeadingSpace leading_space() const override { return LeadingSpace::kKeep; }
  BrokenBytes broken_bytes() const override { return BrokenBytes::kEach; }
  std::string_view Spelling(int32_t id) const override {
    return pieces_.at(static_cast<size_t>(id));
  }
  int32_t IdOf(std::string_view) const override { return -1; }
  int32_t vocabulary_size() const override { return static_cast<int32_t>(pieces_.size()); }
  bool IsSpecial(int32_t) const override { return false; }
  int32_t bos_id() const override { return -1; }
  int32_t eos_id() const override { return -1; }
  int32_t unk_id() const override { return -1; }
  int32_t pad_id() const override { return -1; }

 private:
  std::vector<std::string> pieces_;
};

struct Word {
  std::string text;
  int64_t first, end;
  bool operator==(const Word&) const = default;
};

std::vector<Word> WordsOf(const std::vector<std::string>& pieces) {
  Answer answer;
  for (size_t i = 0; i < pieces.size(); ++i) {
    answer.token_ids.push_back(static_cast<int32_t>(i));
    answer.text += pieces[i];
  }
  std::vector<Word> words;
  for (const AnswerWord& w : TakeApart(answer, Pieces(pieces), PromptFormat::kRaw).words)
    words.push_back(
        {answer.text.substr(static_cast<size_t>(w.begin), static_cast<size_t>(w.end - w.begin)),
         w.first_token, w.end_token});
  return words;
}

TEST(AnswerWords, AreWhatSpacesPartWithoutPunctuationAround) {
  EXPECT_THAT(
      WordsOf({"a ", "blue", " dia", "mond, ", "don't", "."}),
      ElementsAre(Word{"a", 0, 1}, Word{"blue", 1, 2}, Word{"diamond", 2, 4}, Word{"don't", 4, 5}));
}

TEST(AnswerWords, ShareATokenThatHoldsPartsOfBoth) {
  EXPECT_THAT(WordsOf({"on", "e tw", "o"}), ElementsAre(Word{"one", 0, 2}, Word{"two", 1, 3}));
}

TEST(AnswerWords, IdeographsStandAloneAndACharacterBelongsToAllItsTokens) {
  EXPECT_THAT(WordsOf({"\xE7", "\x8C", "\xAB", "\xE7\x8A\xAC"}),
              ElementsAre(Word{"猫", 0, 3}, Word{"犬", 3, 4}));
}

TEST(AnswerWords, ThereAreNoneInPunctuation) { EXPECT_TRUE(WordsOf({" ...", "!? "}).empty()); }

TEST(Correlation, OfKnownSeries) {
  const std::vector<double> x = {1, 2, 3, 4}, cubes = {1, 8, 27, 64}, down = {4, 3, 2, 1};
  EXPECT_NEAR(*Pearson(x, down), -1, 1e-12);
  EXPECT_NEAR(*Pearson(x, cubes), 0.951369855, 1e-8);
  EXPECT_NEAR(*Spearman(x, cubes), 1, 1e-12);
  // Ties share their mean rank: ranks 0, 1.5, 1.5, 3 against 0 … 3.
  EXPECT_NEAR(*Spearman(x, std::vector<double>{1, 5, 5, 9}), 0.948683298, 1e-8);
  EXPECT_FALSE(Pearson(x, std::vector<double>{2, 2, 2, 2}));
  EXPECT_FALSE(Pearson(std::vector<double>{1}, std::vector<double>{1}));
}

TEST(Orders, AreOfValuesAndAtRandom) {
  EXPECT_THAT(DescendingOrder(std::vector<double>{0.1, 0.5, 0.1, 0.9}), ElementsAre(3, 1, 0, 2));
  const std::vector<int64_t> order = RandomOrder(50, 3);
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 50);
  EXPECT_EQ(order, RandomOrder(50, 3));
  EXPECT_NE(order, RandomOrder(50, 4));
}

// The first token's probability, less what every covered block is worth.
BlockScores Costs(const std::vector<double>& worth) {
  return [worth](std::span<const int64_t> blocks) {
    double probability = 1;
    for (const int64_t block : blocks) probability -= worth[static_cast<size_t>(block)];
    return std::vector<double>{std::log(probability), -1e300};
  };
}

TEST(DeletionCurve, IsTheScoreOfItsTokensStepByStep) {
  const std::vector<int64_t> order = {2, 0, 1, 3};
  const DeletionCurve curve = DeletionCurveOf(Costs({0.0625, 0.125, 0.25, 0.5}), order,
                                              {.points = 2, .first_token = 0, .end_token = 1});
  EXPECT_THAT(curve.share, ElementsAre(0, 0.5, 1));
  EXPECT_THAT(curve.probability, ElementsAre(DoubleEq(1), DoubleEq(0.6875), DoubleEq(0.0625)));
  EXPECT_DOUBLE_EQ(curve.area, (1 + 0.6875) / 4 + (0.6875 + 0.0625) / 4);
}

TEST(DeletionCurve, FallsSoonestInTheOrderOfWorth) {
  const std::vector<double> worth = {0.05, 0.3, 0.15, 0.25, 0.1};
  const CurveRange range{.points = 5, .first_token = 0, .end_token = 1};
  const double best = DeletionCurveOf(Costs(worth), DescendingOrder(worth), range).area;
  for (uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_LE(best, DeletionCurveOf(Costs(worth), RandomOrder(5, seed), range).area);
}

double Lightness(const std::array<double, 3>& rgb) {
  return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
}

TEST(Overlay, HotterIsLighter) {
  for (int i = 1; i <= 100; ++i)
    EXPECT_GT(Lightness(HeatColour(i / 100.0)), Lightness(HeatColour((i - 1) / 100.0))) << i;
}

TEST(Overlay, PaintsWhereTheWeightIsAndLeavesTheRest) {
  Image picture(4, 4);
  std::fill(picture.rgb.begin(), picture.rgb.end(), uint8_t{10});
  const std::vector<float> weights = {0, 0, 0.25F, 0};  // lower left of 2 x 2
  const Image out = Overlay(picture, {.weights = weights, .rows = 2, .cols = 2}, 16);
  EXPECT_EQ(out.width, 16);
  for (int64_t y = 0; y < 16; ++y) {
    for (int64_t x = 0; x < 16; ++x)
      EXPECT_EQ(out.row(y)[3 * x] != 10, y >= 8 && x < 8) << y << " " << x;
  }
}

TEST(SinkRecorder, CosinesAreToTheFirstTokenWhateverThePieces) {
  Tensor x = Tensor::F32({3, 2});
  const float values[] = {3, 4, -6, -8, 4, -3};
  std::copy_n(values, 6, x.f32());
  FirstTokenStates first(1, 2);
  SinkRecorder recorder(1, 3, {1}, first);
  recorder.LayerInput(0, 0, x.view().Rows(0, 1));
  recorder.LayerInput(0, 1, x.view().Rows(1, 3));
  EXPECT_NEAR(recorder.tokens(0)[0].cosine, 1, 1e-12);
  EXPECT_NEAR(recorder.tokens(0)[1].cosine, -1, 1e-12);
  EXPECT_NEAR(recorder.tokens(0)[2].cosine, 0, 1e-12);
  EXPECT_NEAR(recorder.tokens(0)[1].score.phi(), 8 / std::sqrt(50.0), 1e-6);
}

class ExplainEngine : public ::testing::Test {
 protected:
  Explanation Explain(const ExplainOptions& options, const std::string& model = "binocle_ftz") {
    Engine engine = testing::LoadEngine(GoldenModel(model), {});
    Request request = Ask("What is it?", {Scene("70x70")});
    request.generation.max_new_tokens = 5;
    return engine.Explain(request, options);
  }
};

TEST_F(ExplainEngine, AnswersAsGenerateDoesAndLeavesNothingBehind) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  Request request = Ask("What is it?", {Scene("70x70")});
  request.generation.max_new_tokens = 5;
  request.generation.logprobs = 4;
  const Response plain = engine.Generate(request);
  const Explanation e = engine.Explain(request, {});
  const Response again = engine.Generate(request);
  EXPECT_EQ(e.response.answers[0].token_ids, plain.answers[0].token_ids);
  EXPECT_EQ(again.answers[0].text, plain.answers[0].text);
  ASSERT_EQ(e.response.answers[0].logprobs.size(), plain.answers[0].logprobs.size());
  for (size_t i = 0; i < plain.answers[0].logprobs.size(); ++i)
    EXPECT_EQ(e.response.answers[0].logprobs[i][0].value, plain.answers[0].logprobs[i][0].value);
}

// One request at a time watches rows. Who waits for another's end has his deadline, and may leave, meanwhile.
TEST_F(ExplainEngine, WaitsForAnotherOnlyAsLongAsItMay) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  Request request = Ask("What is it?", {Scene("70x70")});
  request.generation.max_new_tokens = 3;
  std::atomic<bool> begun = false, go_on = false;
  std::thread other([&] {
    engine.Explain(request, {}, {.keep_going = [&] {
                     begun = true;
                     while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                     return true;
                   }});
  });
  while (!begun) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Request late = request;
  late.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  EXPECT_THAT(testing::ErrorOf([&] { engine.Explain(late, {}); }), HasSubstr("DEADLINE_EXCEEDED"));
  std::atomic<int> asked = 0;
  EXPECT_THAT(testing::ErrorOf([&] {
                engine.Explain(request, {}, {.keep_going = [&] { return ++asked < 4; }});
              }),
              HasSubstr("CANCELLED"));
  go_on = true;
  other.join();
}

TEST_F(ExplainEngine, DrawnFromWhatItReturns) {
  const Explanation e = Explain({});
  EXPECT_THAT(RenderOverlay(e, e.map, 0), HasSubstr("IHDR"));
  EXPECT_THAT(testing::ErrorOf([&] { RenderOverlay(e, e.map, 1); }),
              HasSubstr("no map of picture 1"));
  EXPECT_THAT(testing::ErrorOf([&] { RenderOverlay(e, e.map, 0, {.side = 5}); }),
              HasSubstr("side is 5"));
}

TEST_F(ExplainEngine, BlocksCoverEveryTowersInputOnceAndTogetherAll) {
  for (const char* name : {"binocle_ftz", "llava", "llava_next"}) {
    Engine engine = testing::LoadEngine(GoldenModel(name), {});
    {
      const LoadedModel m = EngineAccess(engine).loaded();
      const Occluder occluder(m.model.config(), m.images.Prepare(Scene("61x83"), Company::kAlone),
                              9);
      const ModelPixels clear = occluder.Cover({});
      std::vector<int64_t> all;
      for (int64_t block = 0; block < occluder.blocks(); ++block) all.push_back(block);
      const ModelPixels covered = occluder.Cover(all);
      for (const auto member : {&ModelPixels::anchor, &ModelPixels::augment}) {
        const TensorView& before = (clear.*member).view();
        if (before.data() == nullptr) continue;
        const TensorView& after = (covered.*member).view();
        const int64_t pixels = before.dim(1) * before.dim(2);
        for (int64_t i = 0; i < before.elements(); ++i)
          ASSERT_EQ(after.f32()[i], after.f32()[i / pixels % 3 * pixels]) << "one colour a channel";
        std::vector<int> changed(static_cast<size_t>(before.elements()));
        for (const int64_t block : all) {
          const ModelPixels one = occluder.Cover({&block, 1});
          for (int64_t i = 0; i < before.elements(); ++i)
            changed[static_cast<size_t>(i)] +=
                (one.*member).view().f32()[i] != before.f32()[i] ? 1 : 0;
        }
        EXPECT_LE(*std::max_element(changed.begin(), changed.end()), 1) << "blocks are disjoint";
      }
    }
  }
}

// The row that gives the first token is then a visual one, which attends where layers are stock.
TEST_F(ExplainEngine, MeasuresTheLastRowOfAPromptThatEndsWithItsPicture) {
  Engine engine = testing::LoadEngine(GoldenModel("llava_sinks"), {});
  Request request = testing::Raw("a<image>", {Scene("61x83")}, 1);
  request.grounding = true;
  const Explanation e = engine.Explain(request, {});
  ASSERT_EQ(e.tokens.size(), 1U);
  EXPECT_GT(e.map.visual_mass, 0);
  double mass = 0;
  for (const HeadStatistics& h : e.head_report.statistics) mass += h.visual_mass;
  EXPECT_NEAR(mass / static_cast<double>(e.head_report.statistics.size()), e.map.visual_mass, 1e-5);
}

// Whoever has stopped waiting, or is late, does not wait for those before him.
TEST_F(ExplainEngine, EndsInTheQueueToo) {
  constexpr int kOthers = 40;
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {.max_sequences = 2});
  for (const bool late : {false, true}) {
    std::atomic<int> ended = 0;
    std::vector<Submission> others;
    for (int i = 0; i < kOthers; ++i) {
      Request other = Ask("Count.");
      other.generation.max_new_tokens = 60;
      const auto end = [&ended] { ++ended; };
      others.push_back(engine.Submit(other, {.on_started = {},
                                             .on_delta = {},
                                             .on_finished = [end](const Response&) { end(); },
                                             .on_error = [end](const Error&) { end(); }}));
    }
    Request request = Ask("What is it?", {Scene("70x70")});
    const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
    if (late) {
      request.deadline = soon;
      EXPECT_THAT(testing::ErrorOf([&] { engine.Explain(request, {}); }),
                  HasSubstr("DEADLINE_EXCEEDED"));
    } else {
      const auto keep_going = [&] { return std::chrono::steady_clock::now() < soon; };
      const Explanation e = engine.Explain(request, {}, {.on_delta = {}, .keep_going = keep_going});
      EXPECT_EQ(e.response.answers[0].finish_reason, FinishReason::kCancelled);
    }
    EXPECT_LT(ended, kOthers - 5);
    for (Submission& other : others) other.Cancel();
    while (ended < kOthers) std::this_thread::yield();
  }
}

TEST_F(ExplainEngine, NeedsAPicture) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  EXPECT_THAT(testing::ErrorOf([&] { engine.Explain(Ask("What?", {}), {}); }),
              HasSubstr("needs a picture"));
}

}  // namespace
}  // namespace binocle
