// Tokens for rows of logits that lie on a GPU, so that the rows need not come to the host.
#pragma once

#include <cstdint>
#include <span>

#include "core/exec.h"
#include "core/tensor.h"
#include "llm/sampling.h"

namespace binocle {

struct DeviceChoice {
  const Sampler* sampler = nullptr;     // nullptr: nobody asks for this row's token
  std::span<const uint64_t> allowed{};  // a bit per id that may come; empty: all may
};

// tokens[t] ← what choices[t] would choose of logits [T, V], of ids below `usable`, for Sampler::Take. Waits for the device.
void SampleOnDevice(Exec& ex, const TensorView& logits, int32_t usable,
                    std::span<const DeviceChoice> choices, std::span<int32_t> tokens);

}  // namespace binocle
