// Whole models against their references, stage by stage: pixels, towers, fused, projected.
#include <gtest/gtest.h>

#include "fusion/parity/vision_parity.h"
#include "tests/testing/golden.h"
#include "tests/testing/tolerances.h"

namespace binocle {
namespace {

using testing::GoldenCase;

class ModelStages : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, ModelStages, ::testing::ValuesIn(testing::AnsweringGoldenModels()),
                         [](const auto& test) { return test.param; });

TEST_P(ModelStages, EveryStageEqualsItsReference) {
  const GoldenCase golden(GetParam());
  const Dump dump(golden.directory() / "reference");
  Exec ex(2);
  VlmModel model(ex, CheckedModel(golden.directory(), {}), 512);
  StageLog log(testing::ToleranceOf("stage", "f32").relative, {});
  ASSERT_GE(dump.images(), 1);
  for (int64_t i = 0; i < dump.images(); ++i) CompareVision(ex, model, dump, i, log);
  int64_t pixels = 0, kept = 0;
  for (const ParityStage& stage : std::move(log).Take()) {
    EXPECT_TRUE(stage.agrees) << DescribeDifference(stage);
    ++(stage.name.starts_with("pixels.") ? pixels : kept);
  }
  const ModelConfig& config = model.config();
  EXPECT_EQ(model.leading_tower().most_images() > 1, config.tiling.has_value())
      << "views of a picture go through the tower together";
  const int64_t towers = config.anchor.has_value() + config.augment.has_value();
  EXPECT_EQ(pixels, dump.images() * towers);
  EXPECT_GE(kept, golden.json()["keep"]["stages"].empty() ? 0 : dump.images());
}

TEST_P(ModelStages, TheMemoryPlanNamesEveryPart) {
  const CheckedModel checked(std::filesystem::path(BINOCLE_TEST_DATA) / GetParam(), {});
  EXPECT_GT(checked.plan().weights.at("language_model").bytes, 0);
  EXPECT_EQ(checked.plan().weights.contains("anchor"), checked.config().anchor.has_value());
  EXPECT_EQ(checked.plan().weights.contains("augment"), checked.config().augment.has_value());
}

}  // namespace
}  // namespace binocle
