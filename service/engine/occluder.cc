#include "service/engine/occluder.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace binocle {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Pixels of an input along one side: picture = start + scale · pixel.
struct Line {
  double start, scale;
  int64_t pixels;

  Line(double begin, double shown, int64_t size)
      : start(begin), scale(shown / static_cast<double>(size)), pixels(size) {}
};

// Edges of the leading tower's blocks, each `block` of its pixels long, on `line`.
std::vector<int64_t> EdgesOn(const Line& line, const Line& leading, int64_t block, int64_t blocks) {
  std::vector<int64_t> edges{0};
  for (int64_t i = 1; i < blocks; ++i) {
    const double picture = leading.start + leading.scale * static_cast<double>(i * block);
    edges.push_back(std::clamp<int64_t>(std::llround((picture - line.start) / line.scale),
                                        edges.back(), line.pixels));
  }
  edges.push_back(line.pixels);
  return edges;
}

// Of the first view, the whole picture.
std::vector<float> ChannelMeans(const Tensor& pixels) {
  std::vector<float> means;
  const int64_t count = pixels.dim(1) * pixels.dim(2);
  for (int64_t c = 0; c < 3; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += pixels.f32()[c * count + i];
    means.push_back(static_cast<float>(sum / static_cast<double>(count)));
  }
  return means;
}

}  // namespace

Occluder::Occluder(const ModelConfig& model, ImageEncoder::Prepared picture, int64_t max_blocks)
    : picture_(std::move(picture)),
      grid_(model.leading().features().grid),
      seen_(OverviewOf(model.leading())),
      patch_size_(model.leading().patch_size()) {
  while (CeilDiv(grid_.height, side_) * CeilDiv(grid_.width, side_) > max_blocks) ++side_;
  block_rows_ = CeilDiv(grid_.height, side_);
  block_cols_ = CeilDiv(grid_.width, side_);
  if (model.anchor) inputs_.push_back(InputOf(OverviewOf(*model.anchor), &ModelPixels::anchor, 0));
  if (model.augment)
    inputs_.push_back(InputOf(OverviewOf(*model.augment), &ModelPixels::augment, 0));
  const PicturePlan& plan = picture_.pixels.plan;
  for (int64_t v = 1; v < plan.views(); ++v) {
    const PixelArea area = AreaOfTile(*plan.tiles, v - 1, picture_.width, picture_.height);
    inputs_.push_back(InputOf(area, &ModelPixels::anchor, v));
  }
}

PixelArea Occluder::OverviewOf(const TowerConfig& tower) const {
  const auto& tiles = picture_.pixels.plan.tiles;
  return (tiles ? OverviewProcessor(tower.processor, *tiles) : tower.processor)
      .Shown(picture_.width, picture_.height);
}

Occluder::Input Occluder::InputOf(const PixelArea& shown, Tensor ModelPixels::*member,
                                  int64_t view) const {
  const Tensor& pixels = picture_.pixels.*member;
  const int64_t height = pixels.dim(1), width = pixels.dim(2);
  const int64_t block = side_ * patch_size_;
  return {.pixels = member,
          .first_channel = 3 * view,
          .mean = ChannelMeans(pixels),
          .rows = EdgesOn({shown.top, shown.height, height},
                          {seen_.top, seen_.height, picture_.seen.height}, block, block_rows_),
          .cols = EdgesOn({shown.left, shown.width, width},
                          {seen_.left, seen_.width, picture_.seen.width}, block, block_cols_)};
}

ModelPixels Occluder::Cover(std::span<const int64_t> blocks) const {
  ModelPixels covered = picture_.pixels.Clone();
  for (const Input& input : inputs_) {
    Tensor& pixels = covered.*input.pixels;
    const int64_t height = pixels.dim(1), width = pixels.dim(2);
    for (const int64_t block : blocks) {
      const auto row = static_cast<size_t>(block / block_cols_);
      const auto col = static_cast<size_t>(block % block_cols_);
      for (int64_t c = 0; c < 3; ++c) {
        for (int64_t y = input.rows[row]; y < input.rows[row + 1]; ++y) {
          float* line = pixels.f32() + ((input.first_channel + c) * height + y) * width;
          std::fill(line + input.cols[col], line + input.cols[col + 1],
                    input.mean[static_cast<size_t>(c)]);
        }
      }
    }
  }
  return covered;
}

std::vector<double> Occluder::SumPerBlock(std::span<const float> patches) const {
  std::vector<double> sums(static_cast<size_t>(blocks()));
  for (int64_t y = 0; y < grid_.height; ++y) {
    for (int64_t x = 0; x < grid_.width; ++x)
      sums[static_cast<size_t>(y / side_ * block_cols_ + x / side_)] +=
          patches[static_cast<size_t>(y * grid_.width + x)];
  }
  return sums;
}

}  // namespace binocle
