// A request before its turn: checked, rendered, its pictures read and decoded. Made on any thread.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "binocle/request.h"
#include "service/engine/loaded_model.h"
#include "service/engine/request_prompt.h"

namespace binocle {

struct PreparedRequest {
  using Clock = std::chrono::steady_clock;

  // Throws what Engine::Generate throws. `request` is kept, since pictures and texts are borrowed from it.
  PreparedRequest(const LoadedModel& loaded, Request request);
  // `prompt` as it is, whose pictures are `images`: for scoring, and for looking at tokens apart from their prompt.
  PreparedRequest(const LoadedModel& loaded, Request request, ExpandedPrompt prompt,
                  std::vector<SharedImage> images);
  PreparedRequest(const PreparedRequest&) = delete;
  PreparedRequest& operator=(const PreparedRequest&) = delete;

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
  std::vector<SharedImage> images;         // of the second constructor
};

}  // namespace binocle
