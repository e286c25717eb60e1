#include "service/engine/memory_plan.h"

#include <unistd.h>

#include "core/error.h"

namespace binocle {

int64_t PhysicalMemory() {
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? pages * page_bytes : INT64_MAX;
}

void CheckMemoryPlan(const ModelInfo& info, int64_t limit, int64_t physical) {
  if (limit > 0 && info.planned_bytes > limit) {
    Throw(Code::kResourceExhausted, info.path, ": the plan needs ", info.planned_bytes,
          " bytes (see `binocle inspect`), the memory limit is ", limit);
  }
  if (limit == 0 && info.planned_bytes > physical) {
    Throw(Code::kResourceExhausted, info.path, ": the plan needs ", info.planned_bytes,
          " bytes (see `binocle inspect`), this machine has ", physical,
          "; fewer context tokens need less, and a memory limit set by hand counts instead of the "
          "machine's memory");
  }
}

}  // namespace binocle
