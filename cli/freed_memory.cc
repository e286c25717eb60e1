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

#ifdef __GLIBC__
// In all of malloc's pools; 0 where the library is too old to say.
int64_t FreeBytes() {
#if __GLIBC_PREREQ(2, 33)
  return static_cast<int64_t>(mallinfo2().fordblks);
#else
  return 0;
#endif
}
#endif

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
  // What came and went between two looks is seen in memory alone, what was in use at the last look and is free now in the pools alone; what
  // was given back stays in a pool's count.
  const int64_t free = FreeBytes();
  free_ = std::min(free_, free);
  if (free < free_ + kWorthIt && AnonymousBytes() < resident_ + kWorthIt) return;
  malloc_trim(0);
  free_ = FreeBytes();
  resident_ = AnonymousBytes();
#endif
}

}  // namespace binocle::cli
