// Prompts to answers against transformers: ids, 64 greedy tokens, log-probabilities at every step.
#include <gtest/gtest.h>

#include "binocle/engine.h"
#include "llm/utf8.h"
#include "tests/testing/golden.h"
#include "tests/testing/tolerances.h"

namespace binocle {
namespace {

using testing::GoldenCase;

class EngineGoldens : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, EngineGoldens, ::testing::ValuesIn(testing::AnsweringGoldenModels()),
                         [](const auto& test) { return test.param; });

Request RequestOf(const GoldenCase& golden, const Json& json) {
  std::vector<ImageInput> images;
  for (const Json& image : json["images"])
    images.push_back(ImageInput::FromFile(golden.directory() / image.get<std::string>()));
  Request request = Ask(json["prompt"], std::move(images));
  request.prompt_format = json["prompt_format"] == "raw" ? PromptFormat::kRaw : PromptFormat::kChat;
  if (json.contains("system")) request.system = json["system"].get<std::string>();
  request.generation.max_new_tokens = 64;
  request.generation.logprobs = 5;
  return request;
}

// Log-probabilities are differences of logits, so their error is measured against the largest logit, like that of logits.
void CompareLogprobs(const Answer& answer, const TensorView& top5,
                     const TensorView& max_abs_logit) {
  const double tolerance = testing::ToleranceOf("logprob", "f32").relative;
  for (size_t step = 0; step < answer.logprobs.size(); ++step) {
    for (size_t rank = 0; rank < 5; ++rank) {
      const float* want = top5.f32() + (step * 5 + rank) * 2;
      EXPECT_EQ(answer.logprobs[step][rank].id, static_cast<int32_t>(want[0]))
          << "step " << step << ", rank " << rank;
      EXPECT_NEAR(answer.logprobs[step][rank].value, want[1], tolerance * max_abs_logit.f32()[step])
          << "step " << step << ", rank " << rank;
    }
  }
}

void CompareAll(const GoldenCase& golden, Engine& engine) {
  for (size_t k = 0; k < golden.json()["requests"].size(); ++k) {
    const Json& json = golden.json()["requests"][k];
    SCOPED_TRACE(json["id"].get<std::string>());
    const Response response = engine.Generate(RequestOf(golden, json));
    EXPECT_EQ(response.prompt_token_ids, json["prompt_token_ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(response.image_tokens, json["image_tokens"].get<int64_t>());
    const Answer& answer = response.answers.at(0);
    EXPECT_EQ(answer.token_ids, json["token_ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(answer.finish_reason, FinishReason::kLength);
    const std::string prefix = "req" + std::to_string(k);
    CompareLogprobs(answer, golden.Tensor(prefix + ".top5"),
                    golden.Tensor(prefix + ".max_abs_logit"));
  }
}

TEST_P(EngineGoldens, TokensAndLogprobsEqualTheReference) {
  const GoldenCase golden(GetParam());
  Engine engine = Engine::Load(golden.directory().string(), {});
  CompareAll(golden, engine);
}

// transformers' decode of the reference's tokens.
TEST_P(EngineGoldens, TheTextsOfTokensMakeTheReferencesAnswer) {
  const GoldenCase golden(GetParam());
  const Engine engine = Engine::Load(golden.directory().string(), {});
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
  Engine whole = Engine::Load(golden.directory().string(), {.threads = 2});
  const Response want = whole.Generate(RequestOf(golden, json));
  for (const int64_t chunk : {1, 7}) {
    Engine engine =
        Engine::Load(golden.directory().string(), {.threads = 1, .prefill_chunk_tokens = chunk});
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
