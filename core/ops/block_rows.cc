#include "core/ops/block_rows.h"

#include "core/error.h"

namespace binocle {

void MultiplyDirectly(CpuLevel level, const DirectProduct& product) {
  BINOCLE_CHECK(level >= CpuLevel::kAvx2, CpuLevelName(level));
#if defined(__x86_64__)
  level >= CpuLevel::kVnni ? MultiplyDirectlyVnni(product) : MultiplyDirectlyAvx2(product);
#else
  static_cast<void>(product);
#endif
}

}  // namespace binocle
