// Whether a model's memory plan fits, before anything is loaded.
#pragma once

#include <cstdint>

#include "binocle/model_info.h"

namespace binocle {

// Bytes of memory that this machine has. Where the system does not tell: more than any plan.
int64_t PhysicalMemory();

// Throws RESOURCE_EXHAUSTED when the plan is larger than `limit` or, where the caller has set none (0), than the machine's memory.
void CheckMemoryPlan(const ModelInfo& info, int64_t limit, int64_t physical);

}  // namespace binocle
