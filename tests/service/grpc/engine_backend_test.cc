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

}  // namespace
}  // namespace binocle
