// Pictures of requests: read, decoded, through the towers, and kept (image_cache.h).
#pragma once

#include "binocle/engine.h"
#include "fusion/vlm_model.h"
#include "service/engine/image_cache.h"
#include "service/engine/prefill.h"
#include "vision/diffusion_noise.h"
#include "vision/image.h"

namespace binocle {

class ImageEncoder {
 public:
  // `model` must outlive this.
  ImageEncoder(VlmModel& model, const EngineOptions& options);

  // Throws what Encode would throw before it comes to the towers.
  void Check(const ImageInput& input) const;

  // The picture, from the cache where it is there and nobody watches its way through the layers.
  struct Encoded {
    SharedImage image;
    bool cached = false;
  };
  Encoded Encode(const ForwardContext& c, const ImageInput& input, const ImageWatch& watch,
                 Timings& timings);
  // The picture under diffusion noise, which is never kept.
  SharedImage EncodeNoised(const ForwardContext& c, const ImageInput& input, int64_t steps,
                           TorchNormal& normal, Timings& timings);
  // A picture before the towers, for those who change it there.
  struct Prepared {
    int64_t width = 0, height = 0;  // decoded and upright
    Image seen;                     // what the leading tower's processor makes of it, in eight bits
    ModelPixels pixels;
  };
  Prepared Prepare(const ImageInput& input) const;
  // Such a picture through towers and layers, never kept. `dims`: score its tokens with these.
  SharedImage EncodePixels(const ForwardContext& c, const ModelPixels& pixels, SinkDims dims);
  // The picture's visual tokens [n, D], never kept.
  Tensor Visual(Exec& ex, const ImageInput& input, Timings& timings);

  const ImageCacheCounters& counters() const { return cache_.counters(); }

 private:
  std::string ReadBytes(const ImageInput& input) const;
  Image Decode(const ImageInput& input, std::string_view bytes) const;
  ModelPixels Pixels(const ImageInput& input, std::string_view bytes, Timings* timings) const;
  Tensor ThroughTowers(Exec& ex, const ModelPixels& pixels, PatchAttention* attention,
                       Timings& timings);
  SharedImage Finish(const ForwardContext& c, Tensor visual, PatchAttention attention,
                     const ImageWatch& watch);

  VlmModel& model_;
  int64_t max_bytes_, max_pixels_;
  ImageCache cache_;
};

}  // namespace binocle
