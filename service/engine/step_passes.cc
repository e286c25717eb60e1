#include "service/engine/step_passes.h"

#include <algorithm>

#include "core/error.h"
#include "core/ops/elementwise.h"
#include "llm/device_sampling.h"

namespace binocle {

void StepPasses::Add(Lane& lane, RunningSequence& sequence, const SequenceTokens& tokens,
                     int64_t count, std::vector<float>& logits) {
  if (count == 0) return;
  const SequenceRows rows{sequence, tokens, EndWithin(tokens, sequence.computed, count)};
  Pass& pass = PassFor(rows);
  pass.rows.push_back(rows);
  pass.lanes.push_back(&lane);
  if (rows.end == tokens.size()) pass.ends.push_back({&lane, &logits});
}

// Visual rows share a pass with those under an equal plan, text rows with all.
StepPasses::Pass& StepPasses::PassFor(const SequenceRows& rows) {
  if (!HasVisualRows(rows)) return passes_.front();
  const LayerPlan& plan = rows.tokens.plan;
  for (Pass& pass : passes_) {
    if (pass.plan != nullptr && *pass.plan != plan) continue;
    pass.plan = &plan;
    return pass;
  }
  passes_.emplace_back().plan = &plan;
  return passes_.back();
}

void StepPasses::Run() {
  for (const Pass& pass : passes_) {
    try {
      Run(pass);
    } catch (const Error& error) {
      // A device that fails, or has no memory left. What the pass would have computed is lost.
      for (Lane* lane : pass.lanes)
        if (!lane->request.ended()) lane->request.Fail(error);
    }
  }
}

void StepPasses::Run(const Pass& pass) {
  const Tensor& on_device = m_.activations.device_logits;
  const bool samples = !on_device.empty() && std::ranges::any_of(pass.ends, [](const End& end) {
    return end.lane->only_samples();
  });
  ForwardRows(m_.forward(), pass.rows, samples ? LogitsTo::kStay : LogitsTo::kHost);
  if (samples) Sample(pass);
  for (size_t i = 0; i < pass.ends.size(); ++i) {
    if (samples && pass.ends[i].lane->only_samples()) continue;
    const auto row = static_cast<int64_t>(i);
    const TensorView logits = m_.activations.logits.view().Rows(row, row + 1);
    if (samples) CopyRows(m_.exec, on_device.view().Rows(row, row + 1), logits);
    pass.ends[i].logits->assign(logits.f32(), logits.f32() + logits.dim(1));
  }
}

// The tokens of those that want no more; others' rows go along and are nobody's.
void StepPasses::Sample(const Pass& pass) {
  std::vector<DeviceChoice> choices;
  std::vector<std::shared_ptr<const TokenMask>> masks;  // held while they are read
  for (const End& end : pass.ends) {
    DeviceChoice& choice = choices.emplace_back();
    Lane& lane = *end.lane;
    if (!lane.only_samples() || lane.request.ended()) continue;
    try {
      if (lane.constrained) choice.allowed = masks.emplace_back(lane.constrained->Allowed())->words;
      choice.sampler = &lane.sampler;
    } catch (const Error& error) {  // a dead end, which is this request's alone
      lane.request.Fail(error);
    }
  }
  std::vector<int32_t> tokens(choices.size());
  SampleOnDevice(m_.exec, m_.activations.device_logits.view().Rows(0, std::ssize(tokens)),
                 m_.model.tokenizer().vocabulary_size(), choices, tokens);
  for (size_t i = 0; i < tokens.size(); ++i)
    if (choices[i].sampler != nullptr) pass.ends[i].lane->sampled = tokens[i];
}

}  // namespace binocle
