#include "service/engine/image_cache.h"

#include <gtest/gtest.h>

#include "binocle/engine.h"
#include "tests/service/answers.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenModel;
using testing::Raw;
using testing::SameAnswer;
using testing::Scene;

SharedImage OfFloats(int64_t floats) {
  auto image = std::make_shared<EncodedImage>();
  image->visual = Tensor::F32({1, floats});
  return image;
}

const auto kAny = [](const EncodedImage&) { return true; };

TEST(ImageCache, TheLeastRecentlyUsedGoesFirst) {
  ImageCache cache(3 * 401);
  for (const char* key : {"a", "b", "c"}) cache.Put(key, OfFloats(100));
  EXPECT_EQ(cache.counters().bytes, 3 * 401);
  EXPECT_NE(cache.Find("a", kAny), nullptr);
  cache.Put("d", OfFloats(100));
  EXPECT_EQ(cache.Find("b", kAny), nullptr);
  EXPECT_NE(cache.Find("a", kAny), nullptr);
  EXPECT_NE(cache.Find("c", kAny), nullptr);
  EXPECT_EQ(cache.counters().evictions, 1);
  EXPECT_EQ(cache.counters().hits, 3);
  EXPECT_EQ(cache.counters().misses, 1);
}

TEST(ImageCache, WhatIsLargerThanTheBudgetIsNotKeptAndCostsNobodyItsPlace) {
  ImageCache cache(1000);
  cache.Put("small", OfFloats(100));
  cache.Put("large", OfFloats(1000));
  EXPECT_EQ(cache.Find("large", kAny), nullptr);
  EXPECT_NE(cache.Find("small", kAny), nullptr);
  EXPECT_EQ(cache.counters().evictions, 0);
}

TEST(ImageCache, APictureInUseOutlivesItsEviction) {
  ImageCache cache(500);
  cache.Put("a", OfFloats(100));
  const SharedImage held = cache.Find("a", kAny);
  cache.Put("b", OfFloats(100));
  EXPECT_EQ(cache.Find("a", kAny), nullptr);
  EXPECT_EQ(held->visual.dim(1), 100);
}

TEST(ImageCache, PuttingAgainReplaces) {
  ImageCache cache(1000);
  cache.Put("a", OfFloats(100));
  cache.Put("a", OfFloats(50));
  EXPECT_EQ(cache.counters().entries, 1);
  EXPECT_EQ(cache.counters().bytes, 201);
  EXPECT_EQ(cache.Find("a", [](const EncodedImage&) { return false; }), nullptr);
}

// Stock, all composite with each aligner, and mixed.
class CachedPictures : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, CachedPictures,
                         ::testing::Values("binocle_ftz", "binocle_vo", "binocle_vo_ffn",
                                           "binocle_none", "binocle_mixed_vo", "llava"));

TEST_P(CachedPictures, AnswersAreThoseOfAnEngineThatHasNeverSeenThePicture) {
  Engine warm = testing::LoadEngine(GoldenModel(GetParam()), {});
  warm.Generate(Raw("<image> What is it?", {Scene("61x83")}));
  warm.Generate(Raw("And <image>", {Scene("130x70")}));
  // The same question, another one, another position, after other text, beside another picture, twice in one prompt, last.
  const std::vector<Request> requests = {
      Raw("<image> What is it?", {Scene("61x83")}),
      Raw("<image> Where is the cat?", {Scene("61x83")}),
      Raw("Look at the light: <image> What colour?", {Scene("61x83")}),
      Raw("The <image> and <image>?", {Scene("130x70"), Scene("61x83")}),
      Raw("Twice <image> <image>", {Scene("61x83"), Scene("61x83")}),
      Raw("Look <image>", {Scene("61x83")})};
  for (const Request& request : requests) {
    const Response got = warm.Generate(request);
    const size_t pictures = request.messages[0].images.size();
    EXPECT_EQ(got.image_hits, static_cast<int64_t>(pictures));
    EXPECT_EQ(got.timings.anchor, 0) << "no tower runs";
    EXPECT_EQ(got.timings.augment, 0);
    EXPECT_EQ(got.timings.fusion, 0);
    Engine cold = testing::LoadEngine(GoldenModel(GetParam()), {.image_cache_bytes = 0});
    const Response want = cold.Generate(request);
    EXPECT_EQ(want.image_hits, 0);
    EXPECT_TRUE(SameAnswer(got, want)) << request.messages[0].text;
  }
  EXPECT_EQ(warm.image_cache().entries, 2);
}

TEST_P(CachedPictures, ATurnedPictureIsAnother) {
  Engine engine = testing::LoadEngine(GoldenModel(GetParam()), {});
  ImageInput picture = Scene("61x83");
  engine.Generate(Raw("<image> What?", {picture}));
  picture.exif = false;
  EXPECT_EQ(engine.Generate(Raw("<image> What?", {picture})).image_hits, 0);
  EXPECT_EQ(engine.Generate(Raw("<image> What?", {picture})).image_hits, 1);
}

TEST_P(CachedPictures, ASmallBudgetEvictsAndAnswersStayTheSame) {
  Engine roomy = testing::LoadEngine(GoldenModel(GetParam()), {});
  const Request first = Raw("<image> What?", {Scene("61x83")});
  const Request second = Raw("<image> What?", {Scene("130x70")});
  const Response want = roomy.Generate(first);
  const int64_t one = roomy.image_cache().bytes;
  Engine tight = testing::LoadEngine(GoldenModel(GetParam()), {.image_cache_bytes = one + one / 2});
  for (int round = 0; round < 3; ++round) {
    const Response got = tight.Generate(first);
    EXPECT_TRUE(SameAnswer(got, want));
    EXPECT_EQ(got.image_hits, 0);
    tight.Generate(second);
  }
  EXPECT_EQ(tight.image_cache().entries, 1);
  EXPECT_EQ(tight.image_cache().evictions, 5);
}

// Requests that know sinks by other dimensions take turns with one picture; each finds what was scored for it.
TEST(ImageCache, KeepsAPictureForEachSetOfSinkDimensions) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_sinks_vo"), {});
  Request plain = Raw("<image>What is it?", {Scene("61x83")}, 2), by_others = plain;
  by_others.interventions.var = VarOptions{.p = 0.5, .tau = 2, .dims = {3}};
  const Response first = engine.Generate(plain), other = engine.Generate(by_others);
  EXPECT_EQ(first.image_hits + other.image_hits, 0);
  for (int turn = 0; turn < 3; ++turn) {
    const Response again = engine.Generate(plain), other_again = engine.Generate(by_others);
    EXPECT_EQ(again.image_hits, 1);
    EXPECT_EQ(other_again.image_hits, 1);
    EXPECT_TRUE(SameAnswer(again, first));
    EXPECT_TRUE(SameAnswer(other_again, other));
  }
}

}  // namespace
}  // namespace binocle
