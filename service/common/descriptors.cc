#include "service/common/descriptors.h"

#include <sys/resource.h>

#include <algorithm>
#include <climits>

namespace binocle {

int MostDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return INT_MAX;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, INT_MAX));
}

int FirstReservedDescriptor() {
  const int most = MostDescriptors();
  return most - std::clamp(most / 8, 16, 256);
}

}  // namespace binocle
