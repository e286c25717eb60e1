#include "vision/tiling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace binocle {
namespace {

// The first of those that keep most of the picture's pixels, and of these the one with the least border.
TilingConfig::Resolution BestResolution(const TilingConfig& config, int64_t width, int64_t height) {
  TilingConfig::Resolution best = config.resolutions.front();
  int64_t best_effective = 0;
  int64_t least_wasted = std::numeric_limits<int64_t>::max();
  for (const TilingConfig::Resolution& r : config.resolutions) {
    const double scale = std::min(static_cast<double>(r.width) / static_cast<double>(width),
                                  static_cast<double>(r.height) / static_cast<double>(height));
    const auto scaled_width = static_cast<int64_t>(static_cast<double>(width) * scale);
    const auto scaled_height = static_cast<int64_t>(static_cast<double>(height) * scale);
    const int64_t effective = std::min(scaled_width * scaled_height, width * height);
    const int64_t wasted = r.width * r.height - effective;
    if (effective > best_effective || (effective == best_effective && wasted < least_wasted)) {
      best_effective = effective;
      least_wasted = wasted;
      best = r;
    }
  }
  return best;
}

void FitInto(TilingConfig::Resolution canvas, int64_t width, int64_t height, TileLayout& layout) {
  const double by_width = static_cast<double>(canvas.width) / static_cast<double>(width);
  const double by_height = static_cast<double>(canvas.height) / static_cast<double>(height);
  const auto scaled = [](int64_t side, double scale, int64_t limit) {
    return std::min(static_cast<int64_t>(std::ceil(static_cast<double>(side) * scale)), limit);
  };
  if (by_width < by_height) {
    layout.resized_width = canvas.width;
    layout.resized_height = scaled(height, by_width, canvas.height);
  } else {
    layout.resized_height = canvas.height;
    layout.resized_width = scaled(width, by_height, canvas.width);
  }
  layout.top = (canvas.height - layout.resized_height) / 2;
  layout.left = (canvas.width - layout.resized_width) / 2;
}

// Python's int(round(value, 7)): what is a whole number but for rounding errors is one.
int64_t WholePatches(double value) { return static_cast<int64_t>(std::floor(value + 5e-8)); }

// The reference reckons in patches, not in the pixels of FitInto: both sides lose the same number, which may leave a row of border.
void CutBorder(int64_t width, int64_t height, TileLayout& layout) {
  const int64_t all_rows = layout.rows * layout.patches;
  const int64_t all_cols = layout.cols * layout.patches;
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  const auto rows = static_cast<double>(all_rows), cols = static_cast<double>(all_cols);
  if (w / h > cols / rows) {
    layout.first_row = (all_rows - WholePatches(h * (cols / w))) / 2;
  } else {
    layout.first_col = (all_cols - WholePatches(w * (rows / h))) / 2;
  }
  layout.shown = {.height = all_rows - 2 * layout.first_row,
                  .width = all_cols - 2 * layout.first_col};
}

PatchGrid Resampled(PatchGrid shown, const TilingConfig& config) {
  if (config.max_views == 0) return shown;
  const auto limit = static_cast<double>(config.max_views * config.patches * config.patches);
  const double ratio = std::sqrt(static_cast<double>(shown.patches()) / limit);
  if (ratio <= 1.1) return shown;
  // Python's side // ratio is exact: 135 // (5 / 3.) is 80, where the quotient rounds to 81.
  const auto part = [&](int64_t side) {
    const auto whole = static_cast<double>(side);
    return static_cast<int64_t>(std::llround((whole - std::fmod(whole, ratio)) / ratio));
  };
  const PatchGrid kept{.height = part(shown.height), .width = part(shown.width)};
  if (kept.patches() == 0) {
    ThrowInvalid("the picture is too narrow: nothing would be left of ", shown.height, " x ",
                 shown.width, " patches");
  }
  return kept;
}

}  // namespace

int64_t TilingConfig::max_tiles() const {
  int64_t most = 0;
  for (const Resolution& r : resolutions)
    most = std::max(most, (r.height / side) * (r.width / side));
  return most;
}

// A grid loses no rows where the picture has the resolution's proportions; one that is not resampled has the most tokens.
int64_t TilingConfig::max_visual_tokens() const {
  int64_t most = 0;
  for (const Resolution& r : resolutions) {
    PatchGrid grid{.height = r.height / side * patches, .width = r.width / side * patches};
    if (max_views > 0 && Resampled(grid, *this).patches() < grid.patches()) {
      // Narrower pictures on the same tiles come to just below 1.1² views' patches, in rows as long as the grid's.
      const double limit = 1.21 * static_cast<double>(max_views * patches * patches);
      const auto longer = std::max(grid.height, grid.width);
      most = std::max(most, static_cast<int64_t>(limit) + longer);
      continue;
    }
    most = std::max(most, grid.height * (grid.width + 1));
  }
  return patches * patches + most;
}

TileLayout PlanTiles(const TilingConfig& config, int64_t width, int64_t height, Company company) {
  TileLayout layout{.side = config.side, .patches = config.patches};
  if (company == Company::kAmongOthers && !config.tiles_among_others) return layout;
  const TilingConfig::Resolution canvas = BestResolution(config, width, height);
  layout.rows = canvas.height / config.side;
  layout.cols = canvas.width / config.side;
  FitInto(canvas, width, height, layout);
  CutBorder(width, height, layout);
  layout.kept = Resampled(layout.shown, config);
  return layout;
}

ImageProcessor OverviewProcessor(const ImageProcessor& processor, const TileLayout& layout) {
  ProcessorConfig config = processor.config();
  config.pad_to_square = layout.tiles() == 0;
  return ImageProcessor(config);
}

std::vector<Image> ViewsOf(const Image& image, const TileLayout& layout,
                           const ImageProcessor& processor) {
  std::vector<Image> views = {OverviewProcessor(processor, layout).Geometry(image)};
  if (layout.tiles() == 0) return views;
  const Image resized =
      Resize(image, layout.resized_width, layout.resized_height, processor.config().filter);
  for (int64_t row = 0; row < layout.rows; ++row) {
    for (int64_t col = 0; col < layout.cols; ++col) {
      views.push_back(CropWithPadding(resized, {.left = col * layout.side - layout.left,
                                                .top = row * layout.side - layout.top,
                                                .width = layout.side,
                                                .height = layout.side}));
    }
  }
  return views;
}

PixelArea AreaOfTile(const TileLayout& layout, int64_t tile, int64_t width, int64_t height) {
  const double x = static_cast<double>(width) / static_cast<double>(layout.resized_width);
  const double y = static_cast<double>(height) / static_cast<double>(layout.resized_height);
  const auto side = static_cast<double>(layout.side);
  return {.left = static_cast<double>(tile % layout.cols * layout.side - layout.left) * x,
          .top = static_cast<double>(tile / layout.cols * layout.side - layout.top) * y,
          .width = side * x,
          .height = side * y};
}

}  // namespace binocle
