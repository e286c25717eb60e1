// Whether a model's memory plan fits, before anything is loaded.
#pragma once

#include <cstdint>

#include "binocle/model_info.h"

namespace binocle {

// Throws RESOURCE_EXHAUSTED when the plan is larger than `limit` or, where the caller has set none (0), than `machine`, what this process
// may use of the machine's memory.
void CheckMemoryPlan(const ModelInfo& info, int64_t limit, int64_t machine);

}  // namespace binocle
