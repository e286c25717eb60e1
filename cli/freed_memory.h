// What requests have freed, back to the system.
#pragma once

#include <cstdint>

namespace binocle::cli {

// glibc keeps what is freed for the next allocation, in a pool for each of many threads, and learns from large blocks to keep such too. A
// server that once had hundreds of pictures would hold their memory for ever.
class FreedMemory {
 public:
  // Before other threads allocate.
  FreedMemory();
  // Now and then: gives back what is free, where more has been freed, or come into memory, than is worth the time.
  void GiveBack();

 private:
  int64_t free_ = 0;      // bytes in the pools: the fewest since what was free was given back
  int64_t resident_ = 0;  // bytes in memory behind that, without what is mapped from files
};

}  // namespace binocle::cli
