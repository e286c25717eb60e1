// A model with everything that requests run on.
#pragma once

#include <memory>
#include <mutex>

#include "fusion/vlm_model.h"
#include "llm/constraint/compiled_constraint.h"
#include "service/engine/forward_rows.h"
#include "service/engine/image_encoder.h"
#include "service/engine/intervention_plan.h"
#include "service/engine/prefix_index.h"

namespace binocle {

// What constraints need to know of a model's tokens, made when the first of them comes. From any thread.
class ConstraintTokens {
 public:
  explicit ConstraintTokens(const VlmModel& model) : model_(model) {}
  std::shared_ptr<const ConstraintVocabulary> Get();

 private:
  const VlmModel& model_;
  std::once_flag once_;
  std::shared_ptr<const ConstraintVocabulary> vocabulary_;  // with the constraints compiled for it
};

// Borrowed. `model`, `calibration`, `constraints`, `info` and what images.Read does may be used from any thread; all else belongs to the engine's.
struct LoadedModel {
  Exec& exec;
  VlmModel& model;
  KvPool& pool;
  DecoderActivations& activations;
  ImageEncoder& images;
  PrefixIndex& prefix;
  const AttentionCalibration& calibration;
  ConstraintTokens& constraints;
  const ModelInfo& info;

  ForwardContext forward() const { return {exec, model.decoder(), pool, activations}; }
};

}  // namespace binocle
