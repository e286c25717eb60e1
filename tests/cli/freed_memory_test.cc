#include "cli/freed_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

namespace binocle::cli {
namespace {

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0, shared = 0;
  file >> size >> resident >> shared;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

// Blocks that come from malloc's pool. The last one stays, and with it, for all that free() does, what lies before it.
class Blocks {
 public:
  static constexpr int64_t kBytes = int64_t{128} << 20;
  Blocks() {
    constexpr int64_t kBlock = 64 << 10;
    for (int64_t bytes = 0; bytes < kBytes; bytes += kBlock) {
      blocks_.push_back(std::make_unique<char[]>(kBlock));
      std::memset(blocks_.back().get(), 1, kBlock);
    }
  }
  void Free() { blocks_.erase(blocks_.begin(), blocks_.end() - 1); }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
};

TEST(FreedMemory, AServerThatWasBusyAtItsFirstLookGivesBackLater) {
  FreedMemory memory;
  Blocks blocks;
  memory.GiveBack();
  const int64_t busy = ResidentBytes();
  blocks.Free();
  memory.GiveBack();
  EXPECT_LT(ResidentBytes(), busy - Blocks::kBytes / 2);
}

TEST(FreedMemory, WhatCameAndWentBetweenTwoLooksIsGivenBack) {
  FreedMemory memory;
  memory.GiveBack();
  for (int i = 0; i < 3; ++i) {
    Blocks blocks;
    const int64_t busy = ResidentBytes();
    blocks.Free();
    memory.GiveBack();
    EXPECT_LT(ResidentBytes(), busy - Blocks::kBytes / 2) << i;
  }
}

}  // namespace
}  // namespace binocle::cli
