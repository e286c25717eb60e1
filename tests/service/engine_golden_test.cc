// Prompts to answers against transformers: ids, 64 greedy tokens, log-probabilities at every step.
#include <gtest/gtest.h>

#include "binocle/engine.h"
#include "llm/utf8.h"
#include "tests/service/golden_answers.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenCase;
using testing::RequestOf;

class EngineGoldens : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, EngineGoldens, ::testing::ValuesIn(testing::AnsweringGoldenModels()),
                         [](const auto& test) { return test.param; });

TEST_P(EngineGoldens, TokensAndLogprobsEqualTheReference) {
  const GoldenCase golden(GetParam());
  Engine engine = testing::LoadEngine(golden.directory().string(), {});
  testing::CompareAnswers(golden, engine);
}

// transformers' decode of the reference's tokens.
TEST_P(EngineGoldens, TheTextsOfTokensMakeTheReferencesAnswer) {
  const GoldenCase golden(GetParam());
  const Engine engine = testing::LoadEngine(golden.directory().string(), {});
  for (const Json& json : golden.json()["requests"]) {
    std::string text;
    for (const Json& id : json["token_ids"]) text += engine.TokenText(id.get<int32_t>());
    text = ReplaceInvalidUtf8(text);
    const auto want = json["answer"].get<std::string>();
    // What opens the text loses its space, or all of them, as the tokenizer has it.
    EXPECT_EQ(TrimFront(text), TrimFront(want)) << json["id"];
    EXPECT_GE(text.size(), want.size());
  }
}

TEST_P(EngineGoldens, SmallChunksAndOneThreadChangeNothing) {
  const GoldenCase golden(GetParam());
  const Json& json = golden.json()["requests"][0];
  Engine whole = testing::LoadEngine(golden.directory().string(), {.threads = 2});
  const Response want = whole.Generate(RequestOf(golden, json));
  for (const int64_t chunk : {1, 7}) {
    Engine engine = testing::LoadEngine(golden.directory().string(),
                                        {.threads = 1, .prefill_chunk_tokens = chunk});
    const Response got = engine.Generate(RequestOf(golden, json));
    ASSERT_EQ(got.answers[0].token_ids, want.answers[0].token_ids);
    for (size_t step = 0; step < 64; ++step) {
      for (size_t rank = 0; rank < 5; ++rank) {
        EXPECT_EQ(got.answers[0].logprobs[step][rank].value,
                  want.answers[0].logprobs[step][rank].value)
            << "bit for bit, chunks of " << chunk;
      }
    }
  }
}

}  // namespace
}  // namespace binocle
