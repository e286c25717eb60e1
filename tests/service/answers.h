// Asking golden models in tests, and comparing answers to the bit.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "binocle/engine.h"

namespace binocle::testing {

inline std::string GoldenModel(const std::string& name) {
  return std::string(BINOCLE_TEST_DATA) + "/" + name;
}

inline ImageInput Scene(const std::string& size) {
  return ImageInput::FromFile(std::string(BINOCLE_TEST_DATA) + "/images/scene_" + size + ".png");
}

// A raw prompt, so that pictures can be anywhere in it; log-probabilities of every token that there is.
inline Request Raw(const std::string& prompt, std::vector<ImageInput> images, int64_t tokens = 12) {
  Request request = Ask(prompt, std::move(images));
  request.prompt_format = PromptFormat::kRaw;
  request.generation.max_new_tokens = tokens;
  request.generation.logprobs = 300;
  return request;
}

// The same tokens, and the same log-probabilities to the last bit.
inline ::testing::AssertionResult SameAnswer(const Response& got, const Response& want) {
  for (size_t a = 0; a < want.answers.size(); ++a) {
    if (got.answers[a].token_ids != want.answers[a].token_ids)
      return ::testing::AssertionFailure() << "other tokens in answer " << a;
    for (size_t step = 0; step < want.answers[a].logprobs.size(); ++step) {
      const auto& g = got.answers[a].logprobs[step];
      const auto& w = want.answers[a].logprobs[step];
      if (g.size() != w.size())
        return ::testing::AssertionFailure()
               << g.size() << " tokens at step " << step << ", want " << w.size();
      for (size_t k = 0; k < w.size(); ++k) {
        if (g[k].id != w[k].id || g[k].value != w[k].value)
          return ::testing::AssertionFailure()
                 << "step " << step << ", place " << k << ": got " << g[k].id << " at "
                 << g[k].value << ", want " << w[k].id << " at " << w[k].value;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace binocle::testing
