// A projector file beside a GGUF text model gives the visual tokens of the directory both were made of (tools/reference/gguf_models.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fusion/vlm_model.h"
#include "tests/testing/errors.h"
#include "tests/testing/golden.h"
#include "tests/testing/tensors.h"
#include "vision/decode.h"

namespace binocle {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::filesystem::path kGolden = BINOCLE_TEST_DATA;

Tensor VisualTokens(const std::filesystem::path& path, const ModelOverrides& overrides) {
  Exec ex(2);
  VlmModel model(ex, CheckedModel(path, overrides), 128);
  const Image image = ReadImage(kGolden / "images" / "scene_70x70.png", {});
  const ModelPixels pixels = model.Pixels(image, Company::kAlone);
  Tensor visual = Tensor::F32({pixels.plan.tokens, model.config().text.width}, "visual");
  model.Encode(ex, pixels, visual, {});
  return visual;
}

ModelOverrides Projector(const std::string& file) {
  ModelOverrides overrides;
  overrides.projector = kGolden / "gguf_models" / file;
  return overrides;
}

class GgufProjector : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, GgufProjector, ::testing::Values("llava", "llava_siglip"));

// The picture is a square already, so that padding and cropping do the same.
TEST_P(GgufProjector, GivesTheDirectorysVisualTokens) {
  const std::string name = GetParam();
  const Tensor want = VisualTokens(kGolden / name, {});
  const Tensor got =
      VisualTokens(kGolden / "gguf_models" / (name + ".gguf"), Projector(name + "_mmproj.gguf"));
  EXPECT_TRUE(testing::SameBits(got, want));
}

TEST(GgufProjectorFiles, AreRefusedWhereTheyDoNotBelong) {
  const auto text = kGolden / "gguf_models" / "llava.gguf";
  const auto error = [](const std::filesystem::path& path, const ModelOverrides& overrides) {
    return testing::ErrorOf([&] { CheckedModel(path, overrides); });
  };
  EXPECT_THAT(error(kGolden / "llava", Projector("llava_mmproj.gguf")),
              HasSubstr("goes with a GGUF text model"));
  EXPECT_THAT(error(text, Projector("qwen2.gguf")), HasSubstr("expected clip, a projector file"));
  EXPECT_THAT(error(text, Projector("absent.gguf")), StartsWith("NOT_FOUND"));
  // 24 wide where the text model has 28.
  EXPECT_THAT(error(text, Projector("llava_siglip_mmproj.gguf")), HasSubstr("mm.2.weight"));
  EXPECT_THAT(error(kGolden / "gguf_models" / "llava_mmproj.gguf", {}),
              StartsWith("UNIMPLEMENTED"));
}

}  // namespace
}  // namespace binocle
