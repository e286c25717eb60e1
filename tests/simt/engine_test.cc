// The engine's tests with the emulator for a device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simt_module.h"
#include "tests/testing/errors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

const bool on_the_emulator = [] {
  testing::TestDevice() = "cuda:0";
  return true;
}();

TEST(EmulatedEngine, IsOnTheDevice) {
  const Engine engine = testing::LoadEngine(BINOCLE_TEST_DATA "/binocle_vo", {});
  EXPECT_TRUE(on_the_emulator);
  EXPECT_EQ(engine.info().device, "cuda:0");
  EXPECT_EQ(engine.info().device_note, "");
}

Request Question(int64_t tokens) {
  Request request = Ask("What is there?", {});
  request.prompt_format = PromptFormat::kRaw;
  request.generation.max_new_tokens = tokens;
  return request;
}

// Steps of decoding ask for the same commands as the ones before, but where a sequence gets a page or a part of its keys more.
TEST(EmulatedEngine, StepsOfDecodingComeAgain) {
  Engine engine = testing::LoadEngine(BINOCLE_TEST_DATA "/binocle_vo", {});
  engine.Generate(Question(4));
  TheSimtDevices() = {};
  engine.Generate(Question(40));
  EXPECT_GE(TheSimtDevices().runs_of_keys, 39);
  EXPECT_GE(TheSimtDevices().repeated, 34);
}

// A device that fails ends the requests that were on it, and nothing else.
TEST(EmulatedEngine, SurvivesADeviceThatFails) {
  Engine engine = testing::LoadEngine(BINOCLE_TEST_DATA "/llava", {});
  const auto want = engine.Generate(Question(8)).answers[0].token_ids;
  TheSimtDevices().broken = true;
  EXPECT_THAT(testing::ErrorOf([&] { engine.Generate(Question(8)); }),
              ::testing::HasSubstr("INTERNAL: the emulator: "));
  TheSimtDevices().broken = false;
  EXPECT_EQ(engine.Generate(Question(8)).answers[0].token_ids, want);
}

// Sampled on the device, beside the host's sampler on the host's logits. Where somebody wants log-probabilities the rows come over, and nothing changes.
TEST(EmulatedEngine, SamplesAsTheHostDoes) {
  const std::string model = BINOCLE_TEST_DATA "/llava";
  Engine host = Engine::Load(model, {});
  Engine device = testing::LoadEngine(model, {});
  for (const uint64_t seed : {1, 2, 3}) {
    for (const GenerationOptions& options :
         {GenerationOptions{}, GenerationOptions{.temperature = 0.8},
          GenerationOptions{.temperature = 1, .top_k = 20, .top_p = 0.9},
          GenerationOptions{.temperature = 1.5, .min_p = 0.1},
          GenerationOptions{.temperature = 0.8, .repetition_penalty = 1.2}}) {
      Request request = Question(24);
      request.generation = options;
      request.generation.seed = seed;
      request.generation.max_new_tokens = 24;
      const auto want = host.Generate(request).answers[0].token_ids;
      EXPECT_EQ(device.Generate(request).answers[0].token_ids, want);
      request.generation.logprobs = 1;
      EXPECT_EQ(device.Generate(request).answers[0].token_ids, want);
    }
  }
}

}  // namespace
}  // namespace binocle
