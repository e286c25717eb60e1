// Engines whose layers several ranks share, as threads of this process: rank 0 answers, the others follow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "binocle/engine.h"
#include "binocle/explain.h"
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
    // What cannot be loaded throws here: those who had begun to wait for rank 0 would do so for minutes.
    Engine::Check(path, options);
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
// A plain model, one of biases, one with images as keys and values alone, one whose visual rows have an ffn, and one of multipliers. Decoders alone are tests/llm's.
INSTANTIATE_TEST_SUITE_P(
    Two, TensorParallelGoldens,
    ::testing::Combine(::testing::Values("llava", "assembled_siglip_dinov2_qwen2", "binocle_vo",
                                         "binocle_mixed_vo_ffn", "llava_granite"),
                       ::testing::Values(2)),
    NameOfShared);
// Of two kv heads, so that ranks have copies.
INSTANTIATE_TEST_SUITE_P(Four, TensorParallelGoldens,
                         ::testing::Combine(::testing::Values("assembled_siglip_dinov2_qwen2",
                                                              "binocle_mixed_vo_ffn"),
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

// Each is refused when it comes, and those beside it go on as if it had not.
TEST_F(TensorParallelEngine, WhatLooksAtHeadsIsRefusedBesideOthers) {
  const GoldenCase golden("llava");
  SharedEngine shared(GoldenPath("llava"), 2);
  Request plain = AskOf(golden);
  plain.generation.max_new_tokens = 48;
  const auto want = shared->Generate(plain).answers[0].token_ids;
  std::promise<std::vector<int32_t>> got;
  std::promise<void> begun;
  std::atomic<bool> has_begun = false;
  const Submission beside = shared->Submit(
      plain, {.on_started = {},
              .on_delta =
                  [&](const Delta&) {
                    if (!has_begun.exchange(true)) begun.set_value();
                  },
              .on_finished = [&](Response r) { got.set_value(r.answers[0].token_ids); },
              .on_error = [&](const Error& e) { got.set_exception(std::make_exception_ptr(e)); }});
  begun.get_future().wait();
  Request grounded = plain, changed = plain;
  grounded.grounding = true;
  changed.interventions.var = VarOptions{
      .p = 0.6, .rho = 0.2, .tau = 2.2, .mass = 0.1, .layers = Layers{0, 2}, .dims = {1, 4}};
  const auto refused = HasSubstr("UNIMPLEMENTED: request: attention cannot be watched");
  EXPECT_THAT(RefusalOf([&] { shared->Generate(grounded); }), refused);
  EXPECT_THAT(RefusalOf([&] { shared->Generate(changed); }), refused);
  EXPECT_THAT(RefusalOf([&] { shared->Explain(plain, {}); }), refused);
  EXPECT_EQ(got.get_future().get(), want);
  EXPECT_EQ(shared->Generate(plain).answers[0].token_ids, want) << "and nothing is out of step";
  EXPECT_EQ(shared->Failure(), std::nullopt);
}

TEST_F(TensorParallelEngine, ARankThatLeavesBeforeItHasLoadedIsNamed) {
  EngineOptions options{.threads = 1};
  options.tensor_parallel = {.ranks = 2, .port = testing::FreePort()};
  std::thread other([&] {
    const auto leaves = [] { throw Error(Code::kInternal, "it leaves"); };
    EngineOptions own = options;
    own.tensor_parallel.rank = 1;
    EXPECT_EQ(RefusalOf([&] { Engine::Follow(GoldenPath("llava"), own, leaves); }),
              "INTERNAL: it leaves");
  });
  const std::string left = "tensor_parallel: rank 1 of 2 has left";
  EXPECT_THAT(RefusalOf([&] { Engine::Load(GoldenPath("llava"), options); }), HasSubstr(left));
  other.join();
}

// Of one shape: nothing else would say so.
TEST_F(TensorParallelEngine, ARankWithAnotherCheckpointIsRefused) {
  EngineOptions options{.threads = 1};
  options.tensor_parallel = {.ranks = 2, .port = testing::FreePort()};
  std::string follower;
  std::thread other([&] {
    EngineOptions own = options;
    own.tensor_parallel.rank = 1;
    follower = RefusalOf([&] { Engine::Follow(GoldenPath("llava_full"), own); });
  });
  RefusalOf([&] { Engine::Load(GoldenPath("llava_linear_rope"), options); });
  other.join();
  EXPECT_THAT(follower, HasSubstr("FAILED_PRECONDITION: tensor_parallel: the checkpoint ("));
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
