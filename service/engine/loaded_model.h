// A model with everything that requests run on.
#pragma once

#include "fusion/vlm_model.h"
#include "service/engine/constraints.h"
#include "service/engine/forward_rows.h"
#include "service/engine/image_encoder.h"
#include "service/engine/intervention_plan.h"
#include "service/engine/prefix_index.h"

namespace binocle {

// Borrowed. `model`, `calibration`, `constraints`, `info` and what images.Read does may be used from any thread; all else belongs to the engine's.
struct LoadedModel {
  Exec& exec;
  VlmModel& model;
  KvPool& pool;
  DecoderActivations& activations;
  ImageEncoder& images;
  PrefixIndex& prefix;
  const AttentionCalibration& calibration;
  Constraints& constraints;
  const ModelInfo& info;

  ForwardContext forward() const { return {exec, model.decoder(), pool, activations}; }
};

}  // namespace binocle
