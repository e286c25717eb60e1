#include "fusion/tiles.h"

#include <gtest/gtest.h>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

// Tile t, patch (y, x) of g·g holds 100·t + 10·y + x.
Tensor Numbered(const TileLayout& layout) {
  const int64_t g = layout.patches;
  Tensor tiles = Tensor::F32({layout.tiles() * g * g, 1});
  for (int64_t r = 0; r < tiles.dim(0); ++r)
    tiles.f32()[r] = static_cast<float>(100 * (r / (g * g)) + 10 * (r / g % g) + r % g);
  return tiles;
}

std::vector<float> Arranged(const TileLayout& layout) {
  Tensor newline = Tensor::F32({1});
  newline.f32()[0] = -1;
  Tensor out = Tensor::F32({layout.kept.height * (layout.kept.width + 1), 1});
  Exec ex(2);
  ArrangeTiles(ex, layout, Numbered(layout), newline, out);
  return {out.f32(), out.f32() + out.view().elements()};
}

TEST(ArrangeTiles, RowsOfThePictureAcrossTilesEndInANewline) {
  const TileLayout layout{.rows = 1, .cols = 2, .patches = 2, .shown = {2, 4}, .kept = {2, 4}};
  EXPECT_EQ(Arranged(layout), (std::vector<float>{0, 1, 100, 101, -1, 10, 11, 110, 111, -1}));
}

TEST(ArrangeTiles, TheBorderIsCutOff) {
  const TileLayout rows{
      .rows = 2, .cols = 1, .patches = 2, .first_row = 1, .shown = {2, 2}, .kept = {2, 2}};
  EXPECT_EQ(Arranged(rows), (std::vector<float>{10, 11, -1, 100, 101, -1}));
  const TileLayout cols{
      .rows = 1, .cols = 2, .patches = 2, .first_col = 1, .shown = {2, 2}, .kept = {2, 2}};
  EXPECT_EQ(Arranged(cols), (std::vector<float>{1, 100, -1, 11, 110, -1}));
}

TEST(ArrangeTiles, ALargeGridIsResampledBeforeItsNewlines) {
  const TileLayout layout{.rows = 1, .cols = 2, .patches = 2, .shown = {2, 4}, .kept = {1, 2}};
  // Half-pixel centres: the means of the four patches on either side.
  EXPECT_EQ(Arranged(layout), (std::vector<float>{5.5F, 105.5F, -1}));
}

TEST(ArrangeTiles, OfAPictureWithoutPatchesTheNewlinesStay) {
  const TileLayout layout{
      .rows = 1, .cols = 2, .patches = 2, .first_col = 2, .shown = {2, 0}, .kept = {2, 0}};
  EXPECT_EQ(Arranged(layout), (std::vector<float>{-1, -1}));
}

}  // namespace
}  // namespace binocle
