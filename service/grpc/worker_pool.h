// A few threads for calls that block, and one more for calls about words alone, which so never wait for the pictures of others.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "service/common/work_room.h"

namespace binocle {

class WorkerPool {
 public:
  using About = WorkAbout;

  // At most `threads` tasks about pictures run at a time. Of each kind at most `max_queued` wait while no thread may take them.
  WorkerPool(int threads, size_t max_queued);
  // Runs what is queued, and waits for it.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // The task's number; none when its queue is full: it will not run. Tasks do not throw.
  std::optional<int64_t> Post(About about, std::function<void()> task);
  // Forgets a task that has not begun; of others nothing happens.
  void Drop(int64_t number);

 private:
  struct Task {
    int64_t number = 0;
    About about = About::kWords;
    std::function<void()> run;
  };
  using Queue = std::deque<Task>;

  void Run();
  Queue& of(About about) { return waiting_[static_cast<size_t>(about)]; }
  std::optional<Task> Next();

  const size_t max_queued_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::array<Queue, 2> waiting_;
  WorkRoom idle_;
  int64_t next_number_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace binocle
