// A fixed team of threads that share loops.
//
// One caller at a time hands over a loop; the caller works too. Workers spin for a moment between loops, since a forward pass is a
// chain of short ones, and then sleep. How a loop is split never changes a result: every op computes each output element in an
// order of its own, whoever computes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace binocle {

class ThreadPool {
 public:
  // `threads` counts the caller, so 1 starts no thread. RESOURCE_EXHAUSTED where the system gives fewer.
  explicit ThreadPool(int threads);
  ~ThreadPool() { Stop(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(i, thread) once for every i in [0, tasks), on any thread of [0, threads()), and returns when all are done. `body` must not
  // throw and must not call Run again.
  void Run(int64_t tasks, const std::function<void(int64_t, int)>& body);

 private:
  void Stop();
  void Work(int thread);
  void TakeTasks(int thread);

  std::vector<std::thread> workers_;
  const std::function<void(int64_t, int)>* body_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<uint32_t> generation_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace binocle
