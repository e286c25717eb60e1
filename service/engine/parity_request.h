// A request beside a dump: ids of the prompt, every layer's states, logits and tokens, through the engine's own passes.
#pragma once

#include <span>

#include "fusion/parity/comparison.h"
#include "fusion/parity/dump.h"
#include "fusion/vlm_model.h"
#include "service/engine/forward_rows.h"

namespace binocle {

// Positions that request `index` needs, prompt and tokens. Throws FAILED_PRECONDITION when its ids are no prompt of the model.
int64_t PositionsOf(const ModelConfig& config, const Dump& dump, int64_t index);

struct ParityRun {
  const ForwardContext& forward;
  const VlmModel& model;
  const Dump& dump;
  std::span<const Tensor> visual;  // by picture of the dump, [n, D]
};

// Compares what the dump has of request `index`, each stage fed with the dump's stage before it.
void CompareRequest(const ParityRun& run, int64_t index, StageLog& log);

}  // namespace binocle
