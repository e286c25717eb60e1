#include "service/engine/memory_plan.h"

#include "core/error.h"

namespace binocle {

void CheckMemoryPlan(const ModelInfo& info, int64_t limit, int64_t machine) {
  if (limit > 0 && info.planned_bytes > limit) {
    Throw(Code::kResourceExhausted, info.path, ": the plan needs ", info.planned_bytes,
          " bytes (see `binocle inspect`), the memory limit is ", limit);
  }
  if (limit == 0 && info.planned_bytes > machine) {
    Throw(Code::kResourceExhausted, info.path, ": the plan needs ", info.planned_bytes,
          " bytes (see `binocle inspect`), this machine has ", machine,
          "; fewer context tokens need less, and a memory limit set by hand counts instead of the "
          "machine's memory");
  }
}

}  // namespace binocle
