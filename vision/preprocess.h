// Image processors: from a decoded picture to a tower's input, driven by preprocessor_config.json.
//
//   pad to square (LLaVA)  ->  resize  ->  centre crop  ->  rescale  ->  normalise  ->  channels first
//   u8 [H, W, 3]                                            f32 v = float(double(u8) · rescale_factor)
//                                                           f32 (v − float(mean_c)) / float(std_c)
//
// Equal to transformers 4.57's slow processors (use_fast=False, the Pillow path) bit for bit, f32 included, with one
// deliberate difference upstream: decode.h applies EXIF orientation and puts alpha over white; those processors do
// neither. transformers guesses the channel axis of pictures 1 or 3 pixels high; here it is always the last.
//
//   const ImageProcessor processor(ParseProcessorConfig(JsonObject(json, "preprocessor_config.json")));
//   Tensor pixels = processor.Pixels(ReadImage("cat.jpg", {}));   // [3, 224, 224]
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/json.h"
#include "core/tensor.h"
#include "vision/image.h"
#include "vision/resize.h"

namespace binocle {

// The largest side a processor may produce.
inline constexpr int64_t kMaxProcessedSide = 4096;

struct ProcessorConfig {
  // Either the short side (the long one follows: int(short_edge · long / short)) or both sides.
  struct Size {
    int64_t shortest_edge = 0;  // 0: width and height count
    int64_t width = 0;
    int64_t height = 0;
  };
  bool pad_to_square = false;
  std::optional<Size> resize;  // absent: do_resize is false
  Filter filter = Filter::kBicubic;
  std::optional<Size> crop;  // width and height; absent: do_center_crop is false
  std::optional<double> rescale_factor;
  bool normalize = true;
  std::array<double, 3> mean{};
  std::array<double, 3> std{};
};

// Reads one processor configuration. Types (image_processor_type, or the older feature_extractor_type):
// CLIPImageProcessor, BitImageProcessor (DINOv2), LlavaImageProcessor, SiglipImageProcessor, also with the suffix Fast
// and the old name …FeatureExtractor. A key that is absent or null has its class's default, as in transformers.
// `image_aspect_ratio: "pad"`, or `do_pad` of LlavaImageProcessor, asks for LLaVA's pad-to-square. Keys that do not
// change pixels are ignored. INVALID_ARGUMENT names the key that is wrong; sizes are limited to kMaxProcessedSide.
ProcessorConfig ParseProcessorConfig(const JsonObject& json);

// A rectangle of a picture in fractions of its pixels.
struct PixelArea {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
};

class ImageProcessor {
 public:
  explicit ImageProcessor(const ProcessorConfig& config);

  // The eight-bit picture that is normalised: padded, resized, cropped. A crop larger than the picture is filled with
  // black. RESOURCE_EXHAUSTED when a side would exceed kMaxProcessedSide or padding needs more than kMaxResizedPixels.
  Image Geometry(const Image& image) const;
  // What of a picture of width x height Geometry shows; reaches beyond the picture where Geometry pads.
  PixelArea Shown(int64_t width, int64_t height) const;
  // f32 [3, H, W], red first.
  Tensor Pixels(const Image& image) const;
  // The last step of Pixels by itself: a picture of the right size -> pixels [3, H, W].
  void Normalize(const Image& picture, const TensorView& pixels) const;

  const ProcessorConfig& config() const { return config_; }

 private:
  ProcessorConfig config_;
  std::array<std::array<float, 256>, 3> values_;  // per channel, what each byte becomes
};

// Centred on a square of the longer side; offsets round down. The background is int(255 · mean), LLaVA's expand2square.
Image PadToSquare(const Image& image, const std::array<double, 3>& mean);

// `region` of an imagined picture that is black outside `image`.
Image CropWithPadding(const Image& image, const Region& region);

}  // namespace binocle
