#include "vision/preprocess.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

struct Size {
  int64_t width;
  int64_t height;
};

// Python's int(size · long / short): the product is exact, one division in double, cut towards zero.
Size TargetSize(const ProcessorConfig::Size& size, const Size& image) {
  if (size.shortest_edge == 0) return {size.width, size.height};
  const auto [shorter, longer] = std::minmax(image.width, image.height);
  const auto product = static_cast<double>(size.shortest_edge * longer);
  const auto other = static_cast<int64_t>(product / static_cast<double>(shorter));
  return image.width <= image.height ? Size{size.shortest_edge, other}
                                     : Size{other, size.shortest_edge};
}

// Half the surplus before the crop, rounded down, so a crop larger than the picture starts at the more negative half.
int64_t CropOffset(int64_t have, int64_t want) { return (have - want) >> 1; }

void CheckSides(int64_t width, int64_t height) {
  if (std::max(width, height) > kMaxProcessedSide) {
    Throw(Code::kResourceExhausted, "the picture would be ", width, " x ", height,
          " pixels after its resize, the limit is ", kMaxProcessedSide, " a side");
  }
}

struct Plan {
  Size resized;
  Region crop;  // of the resized picture
};

Plan PlanOf(const ProcessorConfig& config, const Size& image) {
  const Size size = config.resize ? TargetSize(*config.resize, image) : image;
  if (!config.crop) return {size, {.width = size.width, .height = size.height}};
  return {size,
          {.left = CropOffset(size.width, config.crop->width),
           .top = CropOffset(size.height, config.crop->height),
           .width = config.crop->width,
           .height = config.crop->height}};
}

// The part of `region` inside width x height; may have no pixels.
Region Intersect(const Region& region, int64_t width, int64_t height) {
  const int64_t left = std::clamp<int64_t>(region.left, 0, width);
  const int64_t top = std::clamp<int64_t>(region.top, 0, height);
  const int64_t right = std::clamp<int64_t>(region.left + region.width, left, width);
  const int64_t bottom = std::clamp<int64_t>(region.top + region.height, top, height);
  return {.left = left, .top = top, .width = right - left, .height = bottom - top};
}

}  // namespace

Image CropWithPadding(const Image& image, const Region& region) {
  Image out(region.width, region.height);
  const Region inside = Intersect(region, image.width, image.height);
  for (int64_t y = 0; y < inside.height && inside.width > 0; ++y) {
    std::memcpy(out.row(inside.top - region.top + y) + 3 * (inside.left - region.left),
                image.row(inside.top + y) + 3 * inside.left, static_cast<size_t>(3 * inside.width));
  }
  return out;
}

Image PadToSquare(const Image& image, const std::array<double, 3>& mean) {
  const int64_t side = std::max(image.width, image.height);
  if (image.width == image.height) return image;
  if (side > kMaxResizedPixels / side) {
    Throw(Code::kResourceExhausted, "padding ", image.width, " x ", image.height,
          " pixels to a square needs ", side * side, " pixels, the limit is ", kMaxResizedPixels);
  }
  std::array<uint8_t, 3> colour;
  for (int c = 0; c < 3; ++c)
    colour[c] = static_cast<uint8_t>(std::clamp(mean[c] * 255, 0.0, 255.0));
  Image square(side, side);
  for (size_t i = 0; i < square.rgb.size(); ++i) square.rgb[i] = colour[i % 3];
  const int64_t left = (side - image.width) / 2;
  const int64_t top = (side - image.height) / 2;
  for (int64_t y = 0; y < image.height; ++y) {
    std::memcpy(square.row(top + y) + 3 * left, image.row(y), static_cast<size_t>(3 * image.width));
  }
  return square;
}

ImageProcessor::ImageProcessor(const ProcessorConfig& config) : config_(config) {
  for (int c = 0; c < 3; ++c) {
    const auto mean = static_cast<float>(config.mean[c]);
    const auto std = static_cast<float>(config.std[c]);
    for (int byte = 0; byte < 256; ++byte) {
      const auto value =
          static_cast<float>(static_cast<double>(byte) * config.rescale_factor.value_or(1.0));
      values_[c][byte] = config.normalize ? (value - mean) / std : value;
    }
  }
}

Image ImageProcessor::Geometry(const Image& image) const {
  if (image.width < 1 || image.height < 1)
    ThrowInvalid("cannot process a picture of ", image.width, " x ", image.height, " pixels");
  if (config_.pad_to_square && image.width != image.height) {
    ImageProcessor rest = *this;
    rest.config_.pad_to_square = false;
    return rest.Geometry(PadToSquare(image, config_.mean));
  }
  const auto [size, region] = PlanOf(config_, {image.width, image.height});
  CheckSides(region.width, region.height);
  // Only what the crop shows is resized: a strip of 1 x 20,000 pixels would be 70 x 1,400,000 in between.
  const Region inside = Intersect(region, size.width, size.height);
  const Image shown = ResizeRegion(image, size.width, size.height, config_.filter, inside);
  return CropWithPadding(shown, {.left = region.left - inside.left,
                                 .top = region.top - inside.top,
                                 .width = region.width,
                                 .height = region.height});
}

PixelArea ImageProcessor::Shown(int64_t width, int64_t height) const {
  Size padded{width, height};
  if (config_.pad_to_square) padded.width = padded.height = std::max(width, height);
  const auto [size, region] = PlanOf(config_, padded);
  const double x = static_cast<double>(padded.width) / static_cast<double>(size.width);
  const double y = static_cast<double>(padded.height) / static_cast<double>(size.height);
  return {.left = static_cast<double>(region.left) * x -
                  static_cast<double>((padded.width - width) / 2),
          .top = static_cast<double>(region.top) * y -
                 static_cast<double>((padded.height - height) / 2),
          .width = static_cast<double>(region.width) * x,
          .height = static_cast<double>(region.height) * y};
}

Tensor ImageProcessor::Pixels(const Image& image) const {
  const Image picture = Geometry(image);
  Tensor pixels = Tensor::F32({3, picture.height, picture.width}, "pixels");
  Normalize(picture, pixels);
  return pixels;
}

void ImageProcessor::Normalize(const Image& picture, const TensorView& pixels) const {
  const int64_t count = picture.height * picture.width;
  BINOCLE_CHECK(pixels.elements() == 3 * count, pixels.shape().ToString());
  for (int64_t c = 0; c < 3; ++c) {
    float* plane = pixels.f32() + c * count;
    for (int64_t i = 0; i < count; ++i) plane[i] = values_[c][picture.rgb[3 * i + c]];
  }
}

}  // namespace binocle
