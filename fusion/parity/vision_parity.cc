#include "fusion/parity/vision_parity.h"

#include <zlib.h>

#include <cstring>

namespace binocle {
namespace {

uint32_t Checksum(const void* data, int64_t bytes) {
  return static_cast<uint32_t>(crc32(0, static_cast<const Bytef*>(data), static_cast<uInt>(bytes)));
}

// One tower's side of a picture.
struct TowerSide {
  const char* role;
  const std::optional<TowerConfig>& config;
  Tensor& pixels;
};

class PictureComparison {
 public:
  PictureComparison(Exec& ex, VlmModel& model, const Dump& dump, int64_t image, StageLog& log)
      : ex_(ex),
        model_(model),
        dump_(dump),
        image_(image),
        company_(dump.CompanyOf(image)),
        log_(log) {}

  Tensor Run() {
    ModelPixels pixels = ComparePixels();
    const ModelConfig& config = model_.config();
    Tensor visual = Tensor::F32({pixels.plan.tokens, config.text.width}, "projected");
    VisionStages stages;
    model_.Encode(ex_, pixels, visual, {.stages = &stages});
    Compare("anchor", stages.anchor);
    Compare("augment", stages.augment);
    model_.Fuse(ex_, stages);
    Compare("fused", stages.fused);
    model_.Project(ex_, stages.fused, pixels.plan, visual);
    Compare("projected", visual);
    return visual;
  }

 private:
  ParityStage Stage(std::string name) const { return {.name = std::move(name), .image = image_}; }
  std::string NameOf(const std::string& stage) const {
    return internal::Concat("image", image_, ".", stage);
  }

  // The pixels that the towers are to see: the dump's, where it has them.
  ModelPixels ComparePixels() {
    const Image picture = dump_.Picture(image_);
    const ModelConfig& config = model_.config();
    ModelPixels pixels = model_.Pixels(picture, company_);
    plan_ = pixels.plan;
    for (const TowerSide& side : {TowerSide{"anchor", config.anchor, pixels.anchor},
                                  TowerSide{"augment", config.augment, pixels.augment}}) {
      if (!side.pixels.empty()) ComparePixels(picture, side);
    }
    return pixels;
  }

  void ComparePixels(const Image& picture, const TowerSide& side) {
    const std::string name = std::string("pixels.") + side.role;
    const auto sums = dump_.Checksums(image_, side.role);
    if (!sums && !dump_.Has(NameOf(name))) return;
    ParityStage stage = Stage(name);
    stage.compared = side.pixels.view().elements();
    if (sums && Checksum(side.pixels.f32(), side.pixels.bytes()) != sums->values) {
      const bool same = BytesOf(picture, side) == sums->bytes;
      stage.agrees = false;
      stage.where = same ? "the resized picture is the same, its normalised values are not"
                         : "the picture is another one after resize and crop";
    }
    if (dump_.Has(NameOf(name))) {
      Tensor want = dump_.Read(NameOf(name), side.pixels.shape(),
                               "preprocessor_config.json: [views * 3, height, width]");
      const Shape rows{want.dim(0) * want.dim(1), want.dim(2)};
      const Difference difference =
          CompareRows(side.pixels.view().Reshape(rows), want.view().Reshape(rows));
      stage.absolute = difference.absolute;
      stage.relative = difference.relative;
      if (difference.relative > 0) {
        stage.agrees = false;
        if (stage.where.empty()) stage.where = difference.Where();
      }
      side.pixels = std::move(want);
    }
    log_.AddExact(std::move(stage));
  }

  // CRC-32 of what the processor makes of the picture, before it is normalised.
  uint32_t BytesOf(const Image& picture, const TowerSide& side) const {
    std::vector<Image> views;
    if (&side.config == &model_.config().anchor) {
      views = model_.AnchorViews(picture, plan_);
    } else {
      views.push_back(side.config->processor.Geometry(picture));
    }
    std::vector<uint8_t> bytes;
    for (const Image& view : views) bytes.insert(bytes.end(), view.rgb.begin(), view.rgb.end());
    return Checksum(bytes.data(), std::ssize(bytes));
  }

  // Compares `got` where the dump has that stage, and makes it the dump's.
  void Compare(const char* name, const TensorView& got) {
    if (got.empty() || !dump_.Has(NameOf(name))) return;
    const Tensor want = dump_.Read(NameOf(name), got.shape(), "config.json");
    log_.AddNear(Stage(name), CompareRows(got, want));
    std::memcpy(got.f32(), want.f32(), static_cast<size_t>(want.bytes()));
  }

  Exec& ex_;
  VlmModel& model_;
  const Dump& dump_;
  int64_t image_;
  Company company_;
  PicturePlan plan_;
  StageLog& log_;
};

}  // namespace

Tensor CompareVision(Exec& ex, VlmModel& model, const Dump& dump, int64_t image, StageLog& log) {
  return PictureComparison(ex, model, dump, image, log).Run();
}

}  // namespace binocle
