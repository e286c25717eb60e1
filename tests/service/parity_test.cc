// Every golden model and tower beside its own reference, as `binocle parity` compares them.
#include "binocle/parity.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/testing/errors.h"
#include "tests/testing/golden.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::GoldenCase;

std::string PathOf(const GoldenCase& golden) { return golden.directory().string(); }
ParityReport Compare(const std::string& model, const GoldenCase& dump,
                     ParityOptions options = {.threads = 2}) {
  options.device = testing::TestDevice();
  return CompareWithDump(model, PathOf(dump) + "/reference", options);
}

class GoldenParity : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, GoldenParity, ::testing::ValuesIn(testing::GoldenModels()),
                         [](const auto& test) { return test.param; });

TEST_P(GoldenParity, EveryStageAgreesWithTheReference) {
  const GoldenCase golden(GetParam());
  std::set<std::string> names;
  size_t seen = 0;
  const ParityReport report =
      Compare(PathOf(golden), golden, {.threads = 2, .on_stage = [&](const ParityStage& stage) {
                                         EXPECT_TRUE(stage.agrees) << DescribeDifference(stage);
                                         EXPECT_GT(stage.compared, 0) << StageTitle(stage);
                                         names.insert(stage.name);
                                         ++seen;
                                       }});
  EXPECT_EQ(report.first_difference(), nullptr);
  EXPECT_EQ(report.stages.size(), seen);
  if (golden.json().contains("inputs")) {
    EXPECT_TRUE(names.contains("layer") && names.contains("embeddings"));
    return;
  }
  for (const char* name : {"logits", "log-probabilities", "tokens"})
    EXPECT_TRUE(names.contains(name)) << name;
  const bool has_text = golden.json()["requests"][0]["prompt_format"] != "ids";
  EXPECT_EQ(names.contains("prompt"), has_text);
  EXPECT_EQ(names.contains("layer"), !golden.json()["keep"]["hidden"].empty());
}

// Two correct programs are nearer than this, so that much of the tolerance is left for models of other sizes.
TEST(Parity, TinyModelsAreFiveTimesNearerThanTheToleranceAsks) {
  for (const char* name : {"llama", "llava", "binocle_ftz", "qwen3", "dinov2"}) {
    const GoldenCase golden(name);
    const ParityReport report = Compare(PathOf(golden), golden, {.threads = 2, .tolerance = 2e-5});
    const ParityStage* first = report.first_difference();
    EXPECT_EQ(first, nullptr) << name << ": " << DescribeDifference(*first);
  }
}

TEST(Parity, ADumpOfAnotherModelIsRefusedByName) {
  const auto error_of = [](const char* model, const char* dump) {
    return testing::ErrorOf([&] { Compare(PathOf(GoldenCase(model)), GoldenCase(dump)); });
  };
  for (const auto& [model, dump] : {std::pair{"llava", "binocle_channel_concat_full"},
                                    {"llama", "llava"},
                                    {"llama", "clip"},
                                    {"clip", "llama"},
                                    {"clip", "clip_gelu"},
                                    {"llama", "qwen3"}}) {
    const std::string error = error_of(model, dump);
    EXPECT_TRUE(error.starts_with("FAILED_PRECONDITION: ")) << model << ", " << dump << error;
    EXPECT_NE(error.find("reference: is a dump of another model: "), std::string::npos) << error;
  }
}

TEST(Parity, OptionsOutOfRangeAreNamed) {
  const GoldenCase golden("llama");
  const auto error_of = [&](const ParityOptions& options) {
    return testing::ErrorOf([&] { Compare(PathOf(golden), golden, options); });
  };
  EXPECT_TRUE(error_of({.tolerance = -1}).starts_with("INVALID_ARGUMENT: tolerance is -1"));
  EXPECT_TRUE(error_of({.threads = 2000}).starts_with("INVALID_ARGUMENT: threads is 2000"));
  EXPECT_TRUE(error_of({.compute = "int3"}).starts_with("INVALID_ARGUMENT: compute is int3"));
  EXPECT_TRUE(error_of({.memory_limit = 1000}).starts_with("RESOURCE_EXHAUSTED: "));
}

}  // namespace
}  // namespace binocle
