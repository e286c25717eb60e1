// A few threads that run tasks in the order they come in.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace binocle {

class WorkerThreads {
 public:
  // RESOURCE_EXHAUSTED where the system gives fewer.
  explicit WorkerThreads(int threads);
  // Runs what is left first.
  ~WorkerThreads() { Stop(); }
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // `task` must not throw.
  void Post(std::function<void()> task);

 private:
  void Run();
  void Stop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace binocle
