// Pictures of requests: read, decoded, through the towers, and kept (image_cache.h).
#pragma once

#include "binocle/engine.h"
#include "fusion/vlm_model.h"
#include "service/engine/forward_rows.h"
#include "service/engine/image_cache.h"
#include "vision/diffusion_noise.h"
#include "vision/image.h"

namespace binocle {

class ImageEncoder {
 public:
  // `model` must outlive this.
  ImageEncoder(VlmModel& model, const EngineOptions& options);

  // The picture as the towers take it. Throws what Encode would throw before it comes to them.
  ModelPixels ReadPixels(const ImageInput& input) const;

  // A picture on its way to the towers: read and, unless the cache has it, decoded. From any thread.
  struct Waiting {
    const ImageInput* input = nullptr;
    const LayerPlan* plan = nullptr;
    std::string key;     // of the cache; it begins with the file
    size_t bytes = 0;    // of the file
    SharedImage image;   // was there already
    ModelPixels pixels;  // where it was not
    double decode_ms = 0;

    std::string_view file() const { return std::string_view(key).substr(0, bytes); }
  };
  // For sequences under `plan`. `dims`: its tokens will be scored with these. `input` and `plan` must outlive what is returned.
  Waiting Read(const ImageInput& input, const LayerPlan& plan, const SinkDims& dims) const;
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
  Prepared Prepare(const ImageInput& input) const;
  // Such a picture through towers and layers, for sequences under `plan`, never kept. `dims`: score its tokens with these.
  SharedImage EncodePixels(const ForwardContext& c, const ModelPixels& pixels,
                           const LayerPlan& plan, SinkDims dims);
  // The visual tokens [n, D] of a picture, never kept.
  Tensor Visual(Exec& ex, const ModelPixels& pixels);

  ImageCacheCounters counters() const { return cache_.counters(); }

 private:
  std::string ReadBytes(const ImageInput& input) const;
  Image Decode(const ImageInput& input, std::string_view bytes) const;
  ModelPixels Pixels(const ImageInput& input, std::string_view bytes, Timings* timings) const;
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
