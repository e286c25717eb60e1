// GenerationOptions, checked and translated. CheckOptions itself is declared in binocle/request.h.
#pragma once

#include <cstdint>

#include "binocle/request.h"
#include "llm/sampling.h"

namespace binocle {

// How the `answer`-th answer of a request is sampled.
SamplingParams SamplingOf(const GenerationOptions& options, int64_t answer);

}  // namespace binocle
