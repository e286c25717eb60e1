#include "vision/tiling.h"

#include <gtest/gtest.h>

#include "core/json.h"
#include "core/mapped_file.h"
#include "tests/vision/picture_testing.h"

namespace binocle {
namespace {

TilingConfig ConfigOf(const Json& model) {
  TilingConfig config{.side = model["side"].get<int64_t>(),
                      .patches = model["patches"].get<int64_t>(),
                      .max_views = model["max_views"].get<int64_t>()};
  for (const Json& r : model["resolutions"])
    config.resolutions.push_back({.height = r[0].get<int64_t>(), .width = r[1].get<int64_t>()});
  return config;
}

// tools/reference/tiling_goldens.py: transformers 4.57's processors, for the resolutions of LLaVA-NeXT and LLaVA-OneVision.
TEST(PlanTiles, CountsVisualTokensAsTheReferenceDoes) {
  const Json golden = ReadJsonFile(std::filesystem::path(BINOCLE_TEST_DATA) / "tiling.json");
  for (const Json& model : golden["models"]) {
    const TilingConfig config = ConfigOf(model);
    for (const Json& p : model["pictures"]) {
      const auto width = p[0].get<int64_t>(), height = p[1].get<int64_t>();
      const TileLayout layout = PlanTiles(config, width, height, Company::kAlone);
      EXPECT_EQ(layout.visual_tokens(), p[2].get<int64_t>())
          << model["name"] << " " << width << " x " << height;
      EXPECT_LE(layout.visual_tokens(), config.max_visual_tokens());
      EXPECT_LE(layout.tiles(), config.max_tiles());
      EXPECT_LE(layout.first_row * 2 + layout.shown.height, layout.rows * layout.patches);
      EXPECT_LE(layout.first_col * 2 + layout.shown.width, layout.cols * layout.patches);
    }
  }
}

TilingConfig TwoByTwo() {
  return {.resolutions = {{.height = 20, .width = 20}}, .side = 10, .patches = 5};
}

ImageProcessor Squash() {
  return ImageProcessor({.resize = ProcessorConfig::Size{.width = 10, .height = 10},
                         .mean = {0.5, 0.5, 0.5},
                         .std = {1, 1, 1}});
}

TEST(ViewsOf, ThePictureOnceAndInTilesOnABlackGround) {
  Image image(20, 10);
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(1 + i % 200);
  const TileLayout layout = PlanTiles(TwoByTwo(), 20, 10, Company::kAlone);
  const std::vector<Image> views = ViewsOf(image, layout, Squash());
  ASSERT_EQ(views.size(), 5U);
  EXPECT_EQ(views[0], Squash().Geometry(image));
  // 20 x 10 stays as it is, five rows below the canvas's upper edge.
  for (int64_t y = 0; y < 20; ++y) {
    for (int64_t x = 0; x < 20; ++x) {
      const Image& tile = views[static_cast<size_t>(1 + y / 10 * 2 + x / 10)];
      const uint8_t got = tile.row(y % 10)[3 * (x % 10)];
      EXPECT_EQ(got, y < 5 || y >= 15 ? 0 : image.row(y - 5)[3 * x]) << y << " " << x;
    }
  }
  const PixelArea area = AreaOfTile(layout, 1, 20, 10);
  EXPECT_EQ(area.left, 10);
  EXPECT_EQ(area.top, -5);
  EXPECT_EQ(area.width, 10);
}

TEST(ViewsOf, AmongOthersAPictureMayBeSeenAsAWholeOnASquare) {
  TilingConfig config = TwoByTwo();
  const Image image(20, 10);
  EXPECT_EQ(PlanTiles(config, 20, 10, Company::kAmongOthers).tiles(), 4);
  config.tiles_among_others = false;
  const TileLayout layout = PlanTiles(config, 20, 10, Company::kAmongOthers);
  EXPECT_EQ(layout.views(), 1);
  EXPECT_EQ(layout.visual_tokens(), 26) << "the overview and the newline";
  const std::vector<Image> views = ViewsOf(image, layout, Squash());
  EXPECT_EQ(views[0].row(0)[0], 127) << "padded with the mean colour";
  EXPECT_EQ(views[0].row(5)[0], 0);
}

}  // namespace
}  // namespace binocle
