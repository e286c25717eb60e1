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
  // Now and then: gives back what is free, where there is more in memory than when the server was new and last gave everything back.
  void GiveBack();

 private:
  int64_t least_ = 0;  // bytes in memory after any time, without what is mapped from files
};

}  // namespace binocle::cli
