// Engines whose layers several ranks share, as threads of this process: rank 0 answers, the others follow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "binocle/engine.h"
#include "tests/service/golden_answers.h"
#include "tests/testing/free_port.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenCase;
using ::testing::HasSubstr;

class SharedEngine {
 public:
  SharedEngine(const std::string& path, int64_t ranks, EngineOptions options = {})
      : errors_(static_cast<size_t>(ranks)) {
    options.threads = 1;
    options.tensor_parallel = {.ranks = ranks, .rank = 0, .port = testing::FreePort()};
    for (int64_t rank = 1; rank < ranks; ++rank) {
      EngineOptions own = options;
      own.tensor_parallel.rank = rank;
      if (own.device == "cpu") own.device = testing::TestDevice();
      followers_.emplace_back([this, path, own, rank] {
        try {
          Engine::Follow(path, own);
        } catch (const Error& error) {
          errors_[static_cast<size_t>(rank)] = error.what();
        }
      });
    }
    engine_.emplace(testing::LoadEngine(path, options));
  }
  ~SharedEngine() {
    engine_.reset();
    for (std::jthread& follower : followers_) follower.join();
    for (const std::string& error : errors_) EXPECT_EQ(error, "");
  }

  Engine& operator*() { return *engine_; }
  Engine* operator->() { return &*engine_; }

 private:
  std::vector<std::string> errors_;
  std::vector<std::jthread> followers_;
  std::optional<Engine> engine_;
};

// Whether so many ranks divide its heads, kv heads and ffn.
bool CanBeShared(const GoldenCase& golden, int64_t ranks) {
  try {
    EngineOptions options;
    options.tensor_parallel.ranks = ranks;
    Engine::Inspect(golden.directory().string(), options);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.option(), "tensor_parallel") << error.what();
    return false;
  }
}

// Of one device there is one rank.
void SkipUnlessOnCpus() {
  if (testing::TestDevice() != "cpu") GTEST_SKIP() << "ranks are on CPUs here";
}

class TensorParallelGoldens : public ::testing::TestWithParam<std::tuple<std::string, int64_t>> {
  void SetUp() override { SkipUnlessOnCpus(); }
};
class TensorParallelEngine : public ::testing::Test {
  void SetUp() override { SkipUnlessOnCpus(); }
};
std::string NameOfShared(const ::testing::TestParamInfo<std::tuple<std::string, int64_t>>& test) {
  return std::get<0>(test.param) + "_" + std::to_string(std::get<1>(test.param));
}
INSTANTIATE_TEST_SUITE_P(All, TensorParallelGoldens,
                         ::testing::Combine(::testing::ValuesIn(testing::AnsweringGoldenModels()),
                                            ::testing::Values(2)),
                         NameOfShared);
// Of two kv heads, so that ranks have copies.
INSTANTIATE_TEST_SUITE_P(Four, TensorParallelGoldens,
                         ::testing::Combine(::testing::Values("llava", "binocle_mixed_vo_ffn",
                                                              "binocle_vo", "qwen3"),
                                            ::testing::Values(4)),
                         NameOfShared);

TEST_P(TensorParallelGoldens, TokensAndLogprobsEqualTheReference) {
  const auto& [name, ranks] = GetParam();
  const GoldenCase golden(name);
  if (!CanBeShared(golden, ranks)) GTEST_SKIP() << "its heads are not divided by " << ranks;
  SharedEngine engine(golden.directory().string(), ranks);
  testing::CompareAnswers(golden, *engine);
}

std::string GoldenPath(const std::string& name) { return GoldenCase(name).directory().string(); }

std::string RefusalOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Request AskOf(const GoldenCase& golden) {
  return testing::RequestOf(golden, golden.json()["requests"][0]);
}

// Answers to one prompt share its pages, and copy the last one where they part.
TEST_F(TensorParallelEngine, SeveralAnswersToAPromptAreThoseOfOneProcess) {
  for (const std::string name : {"llava", "binocle_vo"}) {
    const GoldenCase golden(name);
    Request request = AskOf(golden);
    request.generation.n = 3;
    request.generation.temperature = 1;
    request.generation.max_new_tokens = 12;
    Engine alone = testing::LoadEngine(GoldenPath(name), {.threads = 1});
    SharedEngine shared(GoldenPath(name), 2);
    for (int round = 0; round < 2;
         ++round) {  // the second begins with pages, and a picture, of the first
      const Response want = alone.Generate(request), got = shared->Generate(request);
      for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(got.answers[i].token_ids, want.answers[i].token_ids) << name << " " << i;
    }
  }
}

TEST_F(TensorParallelEngine, EveryKindOfWeightsAnswers) {
  const GoldenCase golden("llava");
  Request request = AskOf(golden);
  request.generation.max_new_tokens = 8;
  for (const std::string compute : {"bf16", "int8", "int4"}) {
    SharedEngine shared(GoldenPath("llava"), 2, {.compute = compute});
    EXPECT_EQ(shared->Generate(request).answers[0].token_ids.size(), 8) << compute;
  }
}

TEST_F(TensorParallelEngine, InterventionsAreRefused) {
  const GoldenCase golden("llava");
  SharedEngine shared(GoldenPath("llava"), 2);
  Request request = AskOf(golden);
  request.grounding = true;
  EXPECT_THAT(RefusalOf([&] { shared->Generate(request); }),
              HasSubstr("UNIMPLEMENTED: request: attention cannot be watched"));
  request.grounding = false;
  EXPECT_EQ(shared->Generate(request).answers.size(), 1) << "and nothing is out of step";
}

TEST_F(TensorParallelEngine, EachRankTakesItsShareOfMemory) {
  EngineOptions options;
  const ModelInfo whole = Engine::Inspect(GoldenPath("llava"), options);
  options.tensor_parallel.ranks = 2;
  const ModelInfo leader = Engine::Inspect(GoldenPath("llava"), options);
  options.tensor_parallel.rank = 1;
  const ModelInfo follower = Engine::Inspect(GoldenPath("llava"), options);
  EXPECT_EQ(2 * leader.kv_bytes, whole.kv_bytes);
  EXPECT_EQ(follower.kv_bytes, leader.kv_bytes);
  EXPECT_LT(leader.planned_bytes, whole.planned_bytes);
  EXPECT_LT(follower.planned_bytes, leader.planned_bytes) << "it has no tower and no head";
}

TEST_F(TensorParallelEngine, ARankWithOtherOptionsIsToldWhich) {
  EngineOptions options{.threads = 1, .context_tokens = 128};
  options.tensor_parallel = {.ranks = 2, .port = testing::FreePort()};
  std::string follower;
  std::thread other([&] {
    EngineOptions own = options;
    own.tensor_parallel.rank = 1;
    own.context_tokens = 192;
    follower = RefusalOf([&] { Engine::Follow(GoldenPath("llava"), own); });
  });
  EXPECT_THAT(RefusalOf([&] { Engine::Load(GoldenPath("llava"), options); }),
              HasSubstr("rank 1 of 2 has left"));
  other.join();
  EXPECT_THAT(follower,
              HasSubstr("FAILED_PRECONDITION: tensor_parallel: the context is 192, expected 128"));
}

TEST_F(TensorParallelEngine, RanksThatAreNoneAreRefused) {
  EngineOptions options;
  options.tensor_parallel.ranks = 0;
  EXPECT_THAT(RefusalOf([&] { Engine::Inspect(GoldenPath("llava"), options); }),
              HasSubstr("tensor_parallel is 0"));
  options.tensor_parallel = {.ranks = 2, .rank = 1};
  EXPECT_THAT(RefusalOf([&] { Engine::Load(GoldenPath("llava"), options); }),
              HasSubstr("rank is 1, expected 0"));
  options.tensor_parallel.ranks = 3;
  EXPECT_THAT(RefusalOf([&] { Engine::Inspect(GoldenPath("llava"), options); }),
              HasSubstr("tensor_parallel is 3, expected a divisor of"));
}

}  // namespace
}  // namespace binocle
