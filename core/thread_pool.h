// A fixed team of threads that share loops.
//
// One caller at a time hands over a loop; the caller works too. Workers spin for a moment between loops, since a forward pass is a
// chain of short ones, and then sleep. A loop ends with its last task: a worker that the system lets run too late is not waited for. How a loop is split never changes a result: every op computes each output element in an
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
  // The loop at hand. Whoever takes a task from `left_` finds the others as that loop has them, for it cannot end before the task does.
  std::atomic<const std::function<void(int64_t, int)>*> body_{nullptr};
  std::atomic<int32_t> tasks_{0};
  std::atomic<int32_t> left_{0};  // tasks that nobody has taken
  std::atomic<int32_t> done_{0};
  std::atomic<uint32_t> loops_{0};  // so far; what workers sleep on
  std::atomic<bool> stop_{false};
};

}  // namespace binocle
