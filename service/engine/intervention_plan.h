// A request's interventions, checked against the model and turned into what the decoder watches.
#pragma once

#include "binocle/interventions.h"
#include "fusion/prompt.h"
#include "fusion/vlm_model.h"
#include "llm/sequence_watch.h"

namespace binocle {

// Published for language models of width 4096 (Kang et al.).
inline constexpr double kDefaultTau = 20;

// What the files beside a model say about its attention. Absent files leave their part empty.
struct AttentionCalibration {
  SinkDims sink_dims;                   // sink_dims.json, or the table of public models
  double sink_tau = kDefaultTau;        // that goes with them
  std::vector<float> head_sensitivity;  // [L·H] head_sensitivity.json
};
AttentionCalibration ReadCalibration(const CheckedModel& model);

// Throws INVALID_ARGUMENT for values out of range and combinations that mean nothing, FAILED_PRECONDITION where the model lacks what
// an intervention needs. Returns the interventions with every default filled in.
Interventions ResolveInterventions(const Interventions& asked, const LlamaConfig& config,
                                   const AttentionCalibration& calibration, int64_t images);

// The watch that `resolved` needs, without key gains. `grounding`: masses of all image-centric layers are wanted.
WatchPlan PlanWatch(const Interventions& resolved, const LlamaConfig& config,
                    const AttentionCalibration& calibration, bool grounding);

// The dimensions that sinks are known by under `resolved`; empty where none are.
SinkDims SinkDimsOf(const Interventions& resolved, const AttentionCalibration& calibration);

// The heads that count as image-centric: mass and rho of VAR where the request has it, else its defaults.
struct ImageCentric {
  double mass = 0, rho = 0;
  bool Has(double visual, double content) const {
    return visual >= mass && content >= rho * visual && visual > 0;
  }
};
ImageCentric ImageCentricOf(const Interventions& resolved);

// g [prompt] of modulation or PAI; `attention` has one entry per picture.
std::vector<float> KeyGains(const Interventions& resolved, const ExpandedPrompt& prompt,
                            std::span<const PatchAttention* const> attention,
                            const PatchPlaces& places);

}  // namespace binocle
