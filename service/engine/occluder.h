// Covers parts of a picture for every tower alike, in the mean colour of what the tower sees.
//
// The leading tower's patches are grouped into square blocks. A block is a rectangle of the decoded picture, and from there one of
// every tower's input and of every tile, whatever sizes and crops the processors have. Blocks at the border reach to the end of every input, so that
// together they cover everything.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "service/engine/image_encoder.h"

namespace binocle {

class Occluder {
 public:
  // The smallest blocks of which there are at most `max_blocks`.
  Occluder(const ModelConfig& model, ImageEncoder::Prepared picture, int64_t max_blocks);

  int64_t blocks() const { return block_rows_ * block_cols_; }
  int64_t side() const { return side_; }  // of a block, in patches

  // The picture with some blocks covered.
  ModelPixels Cover(std::span<const int64_t> blocks) const;
  // [patches] -> [blocks()]
  std::vector<double> SumPerBlock(std::span<const float> patches) const;

 private:
  // A tower's input and where the blocks lie on it.
  struct Input {
    Tensor ModelPixels::*pixels;
    int64_t first_channel = 0;        // of the view
    std::vector<float> mean;          // [3]
    std::vector<int64_t> rows, cols;  // edges, 0 first
  };
  // `shown`: what of the picture this view shows.
  Input InputOf(const PixelArea& shown, Tensor ModelPixels::*pixels, int64_t view) const;
  PixelArea OverviewOf(const TowerConfig& tower) const;

  ImageEncoder::Prepared picture_;
  PatchGrid grid_;
  PixelArea seen_;          // by the leading tower, as a whole
  int64_t patch_size_ = 0;  // of the leading tower
  int64_t side_ = 1, block_rows_ = 0, block_cols_ = 0;
  std::vector<Input> inputs_;
};

}  // namespace binocle
