// Whole models against their references, stage by stage: pixels, towers, fused, projected.
#include <gtest/gtest.h>

#include <zlib.h>

#include "fusion/vlm_model.h"
#include "tests/testing/golden.h"
#include "tests/testing/tensors.h"
#include "vision/decode.h"

namespace binocle {
namespace {

using testing::GoldenCase;
using testing::Near;

class ModelStages : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, ModelStages, ::testing::ValuesIn(testing::AnsweringGoldenModels()),
                         [](const auto& test) { return test.param; });

uint32_t Crc(const void* data, size_t bytes) {
  return static_cast<uint32_t>(crc32(0, static_cast<const Bytef*>(data), static_cast<uInt>(bytes)));
}

void ComparePixels(const Json& golden, const TowerConfig& tower, const Image& image,
                   const Tensor& pixels) {
  EXPECT_EQ(
      Crc(tower.processor.Geometry(image).rgb.data(), tower.processor.Geometry(image).rgb.size()),
      golden["u8"].get<uint32_t>());
  EXPECT_EQ(Crc(pixels.f32(), static_cast<size_t>(pixels.bytes())), golden["f32"].get<uint32_t>());
}

TEST_P(ModelStages, EveryStageEqualsItsReference) {
  const GoldenCase golden(GetParam());
  Exec ex(2);
  VlmModel model(ex, CheckedModel(golden.directory(), {}), 512);
  const Json& images = golden.json()["images"];
  ASSERT_GE(images.size(), 1U);
  for (size_t i = 0; i < images.size(); ++i) {
    const Image image = ReadImage(golden.directory() / images[i].get<std::string>(), {});
    Tensor visual = Tensor::F32({model.tokens_per_image(), model.config().text.width}, "projected");
    VisionStages stages;
    const ModelPixels pixels = model.Pixels(image);
    model.Encode(ex, pixels, visual, {.stages = &stages});
    const Json& crc = golden.json()["pixels_crc32"][i];
    if (model.config().anchor)
      ComparePixels(crc["anchor"], *model.config().anchor, image, pixels.anchor);
    if (model.config().augment)
      ComparePixels(crc["augment"], *model.config().augment, image, pixels.augment);
    const std::string prefix = "image" + std::to_string(i) + ".";
    const std::pair<const char*, TensorView> named[] = {{"anchor", stages.anchor},
                                                        {"augment", stages.augment},
                                                        {"fused", stages.fused},
                                                        {"projected", visual}};
    int64_t compared = 0;
    for (const auto& [name, got] : named) {
      if (!golden.Has(prefix + name)) continue;
      EXPECT_TRUE(Near(got, golden.Tensor(prefix + name), "stage"));
      ++compared;
    }
    EXPECT_GE(compared, golden.json()["keep"]["stages"].empty() ? 0 : 1);
  }
}

TEST_P(ModelStages, TheMemoryPlanNamesEveryPart) {
  const CheckedModel checked(std::filesystem::path(BINOCLE_TEST_DATA) / GetParam(), {});
  EXPECT_GT(checked.plan().weights.at("language_model").bytes, 0);
  EXPECT_EQ(checked.plan().weights.contains("anchor"), checked.config().anchor.has_value());
  EXPECT_EQ(checked.plan().weights.contains("augment"), checked.config().augment.has_value());
}

}  // namespace
}  // namespace binocle
