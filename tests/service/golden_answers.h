// What an engine answers on a model with goldens, held against the reference's tokens and log-probabilities at every step.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "binocle/engine.h"
#include "tests/testing/golden.h"
#include "tests/testing/tolerances.h"

namespace binocle::testing {

inline Request RequestOf(const GoldenCase& golden, const Json& json) {
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
inline void CompareLogprobs(const Answer& answer, const TensorView& top5,
                            const TensorView& max_abs_logit) {
  const double tolerance = ToleranceOf("logprob", "f32").relative;
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

inline void CompareAnswers(const GoldenCase& golden, Engine& engine) {
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

}  // namespace binocle::testing
