#include "cli/freed_memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace binocle::cli {
namespace {

// 0 where the system does not say.
int64_t AnonymousBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0, shared = 0;
  if (!(file >> size >> resident >> shared)) return 0;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

}  // namespace

FreedMemory::FreedMemory() {
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
#endif
}

void FreedMemory::GiveBack() {
#ifdef __GLIBC__
  // Threads that allocate wait meanwhile. What was in use the last time may be free by now, so growth since then says nothing.
  constexpr int64_t kWorthIt = int64_t{32} << 20;
  if (least_ > 0 && AnonymousBytes() < least_ + kWorthIt) return;
  malloc_trim(0);
  const int64_t bytes = AnonymousBytes();
  least_ = least_ == 0 ? bytes : std::min(least_, bytes);
#endif
}

}  // namespace binocle::cli
