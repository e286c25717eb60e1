// Pictures of any resolution, as LLaVA-NeXT and LLaVA-OneVision see them: the whole picture once, then tiles of it.
//
//   picture [H, W] ─┬─ overview: squashed to [s, s]
//                   └─ the best of `resolutions`: resized to fit, centred on black, cut into tiles of [s, s], row-major
//
// Every view goes through the tower by itself, g·g patches each. The tiles' patches are put side by side, those that show nothing but the black
// border are cut off, a grid that is too large is resampled, and each of its rows ends in a learnt vector, the newline:
//
//   visual tokens = overview [g·g] ; kept.height rows of (kept.width + 1)
//
// Reference: transformers 4.57, select_best_resolution, get_patch_output_size, unpad_image and pack_image_features of llava_next and
// llava_onevision, with the slow processors (Pillow).
#pragma once

#include <cstdint>
#include <vector>

#include "vision/encoder.h"
#include "vision/image.h"
#include "vision/preprocess.h"

namespace binocle {

// Whether a request has more pictures than the one.
enum class Company : uint8_t { kAlone, kAmongOthers };

struct TilingConfig {
  struct Resolution {
    int64_t height = 0;  // multiples of `side`
    int64_t width = 0;
  };
  std::vector<Resolution> resolutions;  // at least one
  int64_t side = 0;                     // s, pixels of a view
  int64_t patches = 0;                  // g, along a view's side
  int64_t max_views =
      0;  // a grid of 1.1² times as many views' patches is resampled to them; 0: never
  // What becomes of a picture among others: tiled as well or, with false, padded to a square and seen as a whole.
  bool tiles_among_others = true;

  int64_t max_tiles() const;          // of any picture
  int64_t max_visual_tokens() const;  // of any picture
};

// How one picture is cut up.
struct TileLayout {
  int64_t rows = 0, cols = 0;                     // tiles; 0: the overview alone
  int64_t side = 0;                               // s
  int64_t patches = 0;                            // g
  int64_t resized_height = 0, resized_width = 0;  // of the picture on rows·s x cols·s pixels
  int64_t top = 0, left = 0;                      // where it begins there
  int64_t first_row = 0, first_col = 0;           // patches cut off before it
  PatchGrid shown;  // what is left of the tiles' rows·g x cols·g patches
  PatchGrid kept;   // after resampling

  int64_t tiles() const { return rows * cols; }
  int64_t views() const { return 1 + tiles(); }
  int64_t visual_tokens() const {
    return patches * patches + (tiles() == 0 ? 1 : kept.height * (kept.width + 1));
  }
};

// For an upright picture of so many pixels, both at least 1.
TileLayout PlanTiles(const TilingConfig& config, int64_t width, int64_t height, Company company);

// What makes the overview out of the tower's processor: where the picture is not tiled, it is padded to a square before.
ImageProcessor OverviewProcessor(const ImageProcessor& processor, const TileLayout& layout);

// The views of `image`, which `layout` was made for, in eight bits: the overview, then the tiles.
std::vector<Image> ViewsOf(const Image& image, const TileLayout& layout,
                           const ImageProcessor& processor);

// What of the picture a tile shows; reaches beyond the picture where the border is.
PixelArea AreaOfTile(const TileLayout& layout, int64_t tile, int64_t width, int64_t height);

}  // namespace binocle
