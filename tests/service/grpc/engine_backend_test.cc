#include "service/common/engine_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "binocle/engine.h"
#include "tests/service/answers.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

TEST(EngineBackend, RefusesMoreLogProbabilitiesThanAReplyCouldHold) {
  const auto backend = MakeEngineBackend(
      std::make_shared<Engine>(Engine::Load(testing::GoldenModel("binocle_vo"), {})));
  Request request = Ask("Hi", {});
  request.generation.n = 64;
  request.generation.max_new_tokens = 1'000'000;  // the context is less
  request.generation.logprobs = backend->info().vocabulary;
  const std::string error = testing::ErrorOf([&] { backend->Submit(request, {}); });
  EXPECT_THAT(error, ::testing::HasSubstr("INVALID_ARGUMENT: logprobs is "));
  EXPECT_EQ(testing::ErrorOf([&] { backend->Explain(request, {}, {}); }), error);
  request.generation.n = 1;
  request.generation.max_new_tokens = 1;
  EXPECT_NO_THROW(backend->Submit(request, {}));
}

TEST(EngineBackend, RefusesExplanationsOfMoreThanMemoryHas) {
  ModelInfo info;
  info.context_tokens = 131072;
  info.image_tokens = 2880;
  Request request = Ask("What?", {ImageInput::FromBytes("a"), ImageInput::FromBytes("b")});
  request.generation.max_new_tokens = 8000;
  EXPECT_NO_THROW(CheckExplanationSize(request, info));
  request.generation.max_new_tokens = 9000;
  EXPECT_EQ(
      testing::ErrorOf([&] { CheckExplanationSize(request, info); }),
      "INVALID_ARGUMENT: max_new_tokens is 9000, expected at most 8680 for an explanation with "
      "5760 visual tokens");
  request.messages[0].images.clear();
  EXPECT_NO_THROW(CheckExplanationSize(request, info));
}

}  // namespace
}  // namespace binocle
