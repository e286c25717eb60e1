#include "service/engine/step_passes.h"

#include <algorithm>

#include "core/error.h"
#include "core/ops/elementwise.h"
#include "llm/device_sampling.h"
#include "service/engine/error_of.h"

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
    const auto error = ErrorOf([&] { Run(pass); });
    if (!error) continue;
    // A device that fails, or has no memory left, as the host may have none. What the pass would have computed is lost.
    for (Lane* lane : pass.lanes)
      if (!lane->request.ended()) lane->request.Fail(*error);
  }
}

void StepPasses::Run(const Pass& pass) {
  const Tensor& on_device = m_.activations.device_logits;
  const bool samples = !on_device.empty() && std::ranges::any_of(pass.ends, [](const End& end) {
    return end.lane->only_samples();
  });
  ForwardRows(m_.forward(), pass.rows, samples ? LogitsTo::kStay : LogitsTo::kHost);
  if (samples) Sample(pass);
  CopyLogits(pass, samples);
}

// To those that look at them: from the first of these to the last at once, where they have stayed on the device.
void StepPasses::CopyLogits(const Pass& pass, bool stayed) {
  const auto looks = [&](const End& end) { return !stayed || !end.lane->only_samples(); };
  const auto first = std::ranges::find_if(pass.ends, looks) - pass.ends.begin();
  const auto last = std::find_if(pass.ends.rbegin(), pass.ends.rend(), looks);
  const auto end = pass.ends.rend() - last;
  if (first >= end) return;
  const TensorView logits = m_.activations.logits;
  if (stayed)
    CopyRows(m_.exec, m_.activations.device_logits.view().Rows(first, end),
             logits.Rows(first, end));
  for (auto i = first; i < end; ++i) {
    const End& one = pass.ends[static_cast<size_t>(i)];
    if (looks(one)) one.logits->assign(logits.row(i), logits.row(i) + logits.dim(1));
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
    // A dead end, or no memory for a mask: this request's alone.
    const auto error = ErrorOf([&] {
      if (lane.constrained) choice.allowed = masks.emplace_back(lane.constrained->Allowed())->words;
    });
    if (error) {
      lane.request.Fail(*error);
    } else {
      choice.sampler = &lane.sampler;
    }
  }
  std::vector<int32_t> tokens(choices.size());
  SampleOnDevice(m_.exec, m_.activations.device_logits.view().Rows(0, std::ssize(tokens)),
                 m_.model.tokenizer().vocabulary_size(), choices, tokens);
  for (size_t i = 0; i < tokens.size(); ++i)
    if (choices[i].sampler != nullptr) pass.ends[i].lane->sampled = tokens[i];
}

}  // namespace binocle
