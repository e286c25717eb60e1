// Pictures of requests: read, decoded, through the towers, and kept (image_cache.h).
#pragma once

#include "binocle/engine.h"
#include "fusion/vlm_model.h"
#include "service/engine/forward_rows.h"
#include "service/engine/image_cache.h"
#include "vision/decode.h"
#include "vision/diffusion_noise.h"
#include "vision/image.h"

namespace binocle {

class ImageEncoder {
 public:
  // `model` must outlive this.
  ImageEncoder(VlmModel& model, const EngineOptions& options);

  // The picture, alone, as the towers take it. Throws what Encode would throw before it comes to them.
  ModelPixels ReadPixels(ImageInput input) const;

  // What a picture is read for: sequences under `plan`, which must outlive what is read; its tokens will be scored with `dims`.
  struct Use {
    const LayerPlan& plan;
    const SinkDims& dims;
    Company company = Company::kAlone;
  };

  // A picture on its way to the towers.
  struct Waiting {
    ImageInput input;  // without its bytes
    const LayerPlan* plan = nullptr;
    Company company = Company::kAlone;
    PicturePlan picture;
    std::string key;          // of the cache; it begins with the file
    size_t bytes = 0;         // of the file
    int64_t file_pixels = 0;  // as its header says
    SharedImage image;        // was there already
    ModelPixels pixels;       // where it was not
    double decode_ms = 0;

    std::string_view file() const { return std::string_view(key).substr(0, bytes); }
  };
  // Reads the file, and throws for one that is no picture or too large; decodes nothing. From any thread.
  Waiting Read(ImageInput input, const Use& use) const;
  // Decodes it unless the cache has it by now. From any thread.
  void Decode(Waiting& waiting) const;
  ModelPixels PixelsOf(const Waiting& waiting) const {
    return Pixels(waiting.input, waiting.company, waiting.file(), nullptr);
  }
  // The rest, on the engine's thread. From the cache where it is there by now and nobody watches its way through the layers.
  struct Encoded {
    SharedImage image;
    bool cached = false;
  };
  Encoded Encode(const ForwardContext& c, Waiting waiting, const ImageWatch& watch,
                 Timings& timings);
  // The picture under diffusion noise, which is never kept.
  struct Noised {
    ModelPixels pixels;  // without it
    const LayerPlan& plan;
    int64_t steps;
  };
  SharedImage EncodeNoised(const ForwardContext& c, Noised noised, TorchNormal& normal,
                           Timings& timings);
  // A picture before the towers, for those who change it there.
  struct Prepared {
    int64_t width = 0, height = 0;  // decoded and upright
    Image seen;                     // what the leading tower's processor makes of it, in eight bits
    ModelPixels pixels;
  };
  Prepared Prepare(ImageInput input, Company company) const;
  // Such a picture through towers and layers, for sequences under `plan`, never kept. `dims`: score its tokens with these.
  SharedImage EncodePixels(const ForwardContext& c, const ModelPixels& pixels,
                           const LayerPlan& plan, SinkDims dims);
  // The visual tokens [n, D] of a picture, never kept.
  Tensor Visual(Exec& ex, const ModelPixels& pixels);

  ImageCacheCounters counters() const { return cache_.counters(); }

 private:
  std::string ReadBytes(ImageInput& input) const;
  DecodeOptions LimitsFor(const ImageInput& input) const;
  ModelPixels Pixels(const ImageInput& input, Company company, std::string_view bytes,
                     Timings* timings) const;
  Tensor ThroughTowers(Exec& ex, const ModelPixels& pixels, PatchAttention* attention,
                       Timings& timings);
  struct Towered {
    Tensor visual;  // [n, D]
    PatchAttention attention;
  };
  SharedImage Finish(const ForwardContext& c, Towered from, const LayerPlan& plan,
                     const ImageWatch& watch);

  VlmModel& model_;
  int64_t max_bytes_, max_pixels_;
  ImageCache cache_;
};

}  // namespace binocle
