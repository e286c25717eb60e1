// Tokens for rows of logits that lie on a GPU, so that the rows need not come to the host.
#pragma once

#include <cstdint>
#include <span>

#include "core/exec.h"
#include "core/tensor.h"
#include "llm/sampling.h"

namespace binocle {

// tokens[t] ← what samplers[t] would choose of logits [T, V], of ids below `usable`, for Sampler::Take. Samplers forget (Sampler::forgets). Waits for the device.
void SampleOnDevice(Exec& ex, const TensorView& logits, int32_t usable,
                    std::span<const Sampler* const> samplers, std::span<int32_t> tokens);

}  // namespace binocle
