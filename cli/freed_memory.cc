#include "cli/freed_memory.h"

#include <malloc.h>
#include <unistd.h>

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
  // Threads that allocate wait meanwhile.
  constexpr int64_t kWorthIt = int64_t{32} << 20;
  if (AnonymousBytes() < after_last_ + kWorthIt) return;
  malloc_trim(0);
  after_last_ = AnonymousBytes();
#endif
}

}  // namespace binocle::cli
