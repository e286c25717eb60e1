// Two sequences' logits combined into one: guidance and contrastive decoding (docs/interventions.md).
#pragma once

#include <span>

#include "binocle/interventions.h"

namespace binocle {

// `best` is the largest logit of a token that may come next, so that one of those outlives the cut.

// logits ← u + gamma·(ℓ − u), ℓ and u the log-softmax of logits and of `other`. Tokens with logits < best + ln cut become −∞.
void Guide(const GuidanceOptions& options, float best, std::span<const float> other,
           std::span<float> logits);

// logits ← (1 + alpha)·logits − alpha·other. Tokens with logits < best + ln beta become −∞.
void Contrast(const VcdOptions& options, float best, std::span<const float> other,
              std::span<float> logits);

}  // namespace binocle
