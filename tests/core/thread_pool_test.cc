#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "core/exec.h"

namespace binocle {
namespace {

TEST(ThreadPool, EveryTaskRunsOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> counts(static_cast<size_t>(tasks));
      pool.Run(tasks, [&](int64_t i, int) { counts[static_cast<size_t>(i)].fetch_add(1); });
      for (const auto& count : counts) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsInARowAllFinish) {
  ThreadPool pool(3);
  std::atomic<int64_t> total{0};
  for (int round = 0; round < 20000; ++round)
    pool.Run(3, [&](int64_t i, int) { total.fetch_add(i + 1, std::memory_order_relaxed); });
  EXPECT_EQ(total.load(), 20000 * 6);
}

TEST(ThreadPool, WorkersThatHaveGoneToSleepWakeUp) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::atomic<int> done{0};
    pool.Run(8, [&](int64_t, int) { done.fetch_add(1); });
    EXPECT_EQ(done.load(), 8);
  }
}

TEST(Exec, ScratchIsAThreadsOwnAndAligned) {
  Exec ex(3);
  for (const int64_t floats : {5, 5000, 700}) {
    std::atomic<int> wrong{0};
    ex.ParallelWithScratch(200, floats, [&](int64_t i, float* scratch) {
      wrong += reinterpret_cast<uintptr_t>(scratch) % 64 != 0;
      std::fill(scratch, scratch + floats, static_cast<float>(i));
      std::this_thread::yield();
      wrong += std::count(scratch, scratch + floats, static_cast<float>(i)) != floats;
    });
    EXPECT_EQ(wrong.load(), 0);
  }
}

TEST(Exec, RangesCoverEverythingOnce) {
  Exec ex(3);
  for (const int64_t items : {1, 2, 3, 10, 101}) {
    for (const int64_t grain : {1, 4, 1000}) {
      std::vector<std::atomic<int>> counts(static_cast<size_t>(items));
      ex.ParallelRanges(items, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) counts[static_cast<size_t>(i)].fetch_add(1);
      });
      for (const auto& count : counts)
        EXPECT_EQ(count.load(), 1) << items << " items, grain " << grain;
    }
  }
}

}  // namespace
}  // namespace binocle
