// A request before its turn: checked, rendered, its pictures read and then decoded. Made on any thread.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <vector>

#include "binocle/request.h"
#include "service/engine/loaded_model.h"
#include "service/engine/preparation.h"
#include "service/engine/request_prompt.h"

namespace binocle {

// Whether PreparedRequest's constructor will take a twentieth of a second and more.
bool TakesLongToRead(const Request& request, Constraints& constraints);

struct PreparedRequest {
  using Clock = std::chrono::steady_clock;

  // Throws what Engine::Generate throws, but what only decoding shows. The pictures' bytes are taken out of `request`.
  PreparedRequest(const LoadedModel& loaded, Request request);
  // `prompt` as it is, whose pictures are `images`: for scoring, and for looking at tokens apart from their prompt.
  PreparedRequest(const LoadedModel& loaded, Request request, ExpandedPrompt prompt,
                  std::vector<SharedImage> images);
  PreparedRequest(const PreparedRequest&) = delete;
  PreparedRequest& operator=(const PreparedRequest&) = delete;

  // What DecodePictures has to decode, in pixels of the files. 0: nothing, the cache has all.
  int64_t pixels_to_decode() const;
  // To be done before the request's turn; stops between two pictures where `keep_going` says so. Throws what decoding throws.
  void DecodePictures(const ImageEncoder& images, const std::function<bool()>& keep_going = {});
  // Of the decoded pictures.
  int64_t decoded_bytes() const;

  // Two sequences: guidance and VCD.
  bool paired() const { return interventions.guidance || interventions.vcd; }

  Clock::time_point start = Clock::now();  // of the call; first, so that what follows counts
  Request request;
  PreparedPrompt prompt;
  ExpandedPrompt other_prompt;  // of the sequence that guidance and VCD compare with
  LayerPlan plan;               // of its sequences
  Interventions interventions;  // every default filled in
  SinkDims sink_dims;
  std::shared_ptr<const CompiledConstraint> constraint;  // with the answers
  std::vector<ImageEncoder::Waiting> waiting_images;
  std::vector<ModelPixels> noised_pixels;  // the same pictures for VCD, noise yet to come
  std::unique_ptr<PreparationQueue::Ahead>
      ahead;                        // counts decoded_bytes until the towers have had them
  std::vector<SharedImage> images;  // of the second constructor
};

}  // namespace binocle
