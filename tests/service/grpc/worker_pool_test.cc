#include "service/grpc/worker_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>

namespace binocle {
namespace {

using About = WorkerPool::About;

// A pool of one thread for pictures, which is busy until it opens.
class BusyPool : public ::testing::Test {
 protected:
  BusyPool() {
    Post(About::kPictures, [this] { gate_.wait(); });
    while (begun_ == 0) std::this_thread::yield();
  }
  std::optional<int64_t> Post(About about, std::function<void()> work = {}) {
    return pool_->Post(about, [this, about, work = std::move(work)] {
      ++begun_;
      if (work) work();
      ran_of_[static_cast<size_t>(about)]++;
    });
  }
  void Finish() {
    open_.set_value();
    pool_.reset();
  }
  int ran(About about) const { return ran_of_[static_cast<size_t>(about)]; }

 private:
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
  std::atomic<int> begun_ = 0;
  std::array<std::atomic<int>, 2> ran_of_{};
  std::unique_ptr<WorkerPool> pool_ = std::make_unique<WorkerPool>(1, 1);

 protected:
  WorkerPool& pool() { return *pool_; }
};

TEST_F(BusyPool, RunsWhatFitsAndRefusesTheRest) {
  EXPECT_TRUE(Post(About::kPictures));
  EXPECT_FALSE(Post(About::kPictures));
  Finish();
  EXPECT_EQ(ran(About::kPictures), 2);
}

TEST_F(BusyPool, WordsHaveAThreadThatTakesNoPictures) {
  EXPECT_TRUE(Post(About::kPictures));
  std::promise<void> ran_words;
  EXPECT_TRUE(Post(About::kWords, [&] { ran_words.set_value(); }));
  ran_words.get_future().wait();
  EXPECT_EQ(ran(About::kPictures), 0) << "they wait for their thread";
  Finish();
  EXPECT_EQ(ran(About::kPictures), 2);
}

TEST_F(BusyPool, WhatIsDroppedLeavesItsPlace) {
  const auto first = Post(About::kPictures);
  EXPECT_FALSE(Post(About::kPictures));
  pool().Drop(*first);
  EXPECT_TRUE(Post(About::kPictures));
  pool().Drop(*first);
  pool().Drop(12345);
  Finish();
  EXPECT_EQ(ran(About::kPictures), 2);
}

}  // namespace
}  // namespace binocle
