// What prompts that begin alike share, and that it takes nothing from anybody.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "service/engine/prefix_index.h"
#include "tests/service/answers.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenModel;
using testing::SameAnswer;
using testing::Scene;

// Pages that the index holds can go when nobody uses them, whoever hung others below them.
TEST(PrefixIndex, HangsNothingBelowAPageThatTheSequenceDoesNotHold) {
  KvPool pool(1, 1, 4, 8);
  PrefixIndex index(pool);
  const LayerPlan plan;
  ExpandedPrompt one, two;
  for (int32_t i = 0; i < 3 * static_cast<int32_t>(kPageTokens); ++i) two.ids.push_back(i);
  one.ids.assign(two.ids.begin(), two.ids.begin() + kPageTokens + 1);
  const SequenceTokens first{one, {}, {}, plan}, second{two, {}, {}, plan};
  KvSequence a(pool), b(pool);  // alike, and computed before the index had anything
  a.Extend(kPageTokens + 1);
  b.Extend(3 * kPageTokens);
  index.Keep(first, a, kPageTokens);
  index.Keep(second, b, 2 * kPageTokens);
  EXPECT_EQ(index.pages(), 1) << "the other still uses its page";
  a.Truncate(0);
  EXPECT_EQ(pool.free_pages(), 8 - 3 - 1);
  EXPECT_EQ(index.evictable_pages(), 1);
  index.Keep(second, b, 2 * kPageTokens);
  EXPECT_EQ(index.pages(), 2);
  EXPECT_EQ(pool.free_pages(), 8 - 3) << "b's page stands for both";
  index.Keep(second, b, 3 * kPageTokens);
  b.Truncate(0);
  EXPECT_EQ(index.evictable_pages(), 3);
  index.Evict(8);
  EXPECT_EQ(pool.free_pages(), 8);
}

TEST(PrefixIndex, TakesAllPagesOfASequenceOrNone) {
  KvPool pool(1, 1, 4, 8);
  PrefixIndex index(pool);
  const LayerPlan plan;
  ExpandedPrompt prompt;
  for (int32_t i = 0; i < 3 * static_cast<int32_t>(kPageTokens); ++i) prompt.ids.push_back(i);
  const SequenceTokens tokens{prompt, {}, {}, plan};
  KvSequence a(pool), b(pool);
  a.Extend(2 * kPageTokens);
  b.Extend(3 * kPageTokens);
  index.Keep(tokens, a, 2 * kPageTokens);
  a.Truncate(kPageTokens);  // its second page is the index's alone, its first is not
  index.Keep(tokens, b, 3 * kPageTokens);
  EXPECT_EQ(index.pages(), 2);
  EXPECT_EQ(index.evictable_pages(), 1);
  a.Truncate(0);
  EXPECT_EQ(index.evictable_pages(), 2) << "none is kept there by b's";
}

// A neighbour that began alike, and ended first, must not keep a request from the pages that it needs.
TEST(PrefixIndex, WhoFitsAloneFitsBesideOthers) {
  const EngineOptions options{
      .context_tokens = 384, .prefill_chunk_tokens = 8, .max_sequences = 2, .kv_tokens = 384};
  const std::string text(130, 'k');
  Request full = testing::Raw("zz", {}, 300), brief = testing::Raw(text.substr(0, 70), {}, 1),
          long_one = testing::Raw(text, {}, 600);
  full.generation.n = 2;
  const Response alone = testing::LoadEngine(GoldenModel("binocle_vo"), options).Generate(long_one);
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), options);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::thread> threads;
    Response response;
    threads.emplace_back([&] { engine.Generate(full); });
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
    threads.emplace_back([&] { engine.Generate(brief); });
    threads.emplace_back([&] { EXPECT_NO_THROW(response = engine.Generate(long_one)); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(SameAnswer(response, alone));
  }
}

TEST(PrefixIndex, AnEqualBeginningIsComputedOnce) {
  for (const char* model : {"llava", "binocle_mixed_vo"}) {
    Engine engine = testing::LoadEngine(GoldenModel(model), {.kv_tokens = 4096});
    const std::string text(150, 'a');
    const Response first =
        engine.Generate(testing::Raw("<image>" + text + "one", {Scene("61x83")}));
    const Response again =
        engine.Generate(testing::Raw("<image>" + text + "one", {Scene("61x83")}));
    EXPECT_TRUE(SameAnswer(again, first));
    EXPECT_EQ(again.prefix_tokens, first.prompt_tokens - 1);
    const Response other =
        engine.Generate(testing::Raw("<image>" + text + "two", {Scene("61x83")}));
    EXPECT_GT(other.prefix_tokens, first.prompt_tokens / 2);
    EXPECT_LT(other.prefix_tokens, other.prompt_tokens);
    const Response picture =
        engine.Generate(testing::Raw("<image>" + text + "one", {Scene("70x70")}));
    EXPECT_LT(picture.prefix_tokens, 3) << "another picture shares nothing after its mark";
    Engine fresh = testing::LoadEngine(GoldenModel(model), {});
    EXPECT_TRUE(SameAnswer(
        other, fresh.Generate(testing::Raw("<image>" + text + "two", {Scene("61x83")}))));
    EXPECT_TRUE(SameAnswer(
        picture, fresh.Generate(testing::Raw("<image>" + text + "one", {Scene("70x70")}))));
  }
}

}  // namespace
}  // namespace binocle
