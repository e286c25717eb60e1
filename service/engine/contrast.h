// Two sequences' logits combined into one: guidance and contrastive decoding (docs/interventions.md).
#pragma once

#include <span>

#include "binocle/interventions.h"

namespace binocle {

// logits ← u + gamma·(ℓ − u), ℓ and u the log-softmax of logits and of `other`. Tokens with ℓ < max ℓ + ln cut become −∞.
void Guide(const GuidanceOptions& options, std::span<const float> other, std::span<float> logits);

// logits ← (1 + alpha)·logits − alpha·other. Tokens with logits < max logits + ln beta become −∞.
void Contrast(const VcdOptions& options, std::span<const float> other, std::span<float> logits);

}  // namespace binocle
