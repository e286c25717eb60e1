// A thread for each connection, up to a number of them.
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

namespace binocle::http {

// Threads are made when they are needed and kept. With all of them busy a task runs on the thread that brings it, which is the accepting
// one: Listener sees that and refuses the connection.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(size_t max_threads) : max_threads_(max_threads) {}

  // void or bool, by the library's version.
  using Enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue(std::function<void()>()));
  Enqueued enqueue(std::function<void()> task) override;
  // Waits for all tasks.
  void shutdown() override;

 private:
  void Run();

  const size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::function<void()>> tasks_;
  size_t idle_ = 0;
  bool over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace binocle::http
