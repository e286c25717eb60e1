#include "service/http/connection_threads.h"

#include <system_error>

namespace binocle::http {

ConnectionThreads::Enqueued ConnectionThreads::enqueue(std::function<void()> task) {
  {
    std::unique_lock lock(mutex_);
    if (idle_ <= tasks_.size() && threads_.size() < max_threads_) {
      try {
        threads_.emplace_back([this] { Run(); });
        ++idle_;
      } catch (const std::system_error&) {
        // The system gives no more threads: refuse as if there were no room.
      }
    }
    if (idle_ > tasks_.size()) {
      tasks_.push(std::move(task));
      changed_.notify_one();
      return static_cast<Enqueued>(true);
    }
  }
  task();
  return static_cast<Enqueued>(true);
}

void ConnectionThreads::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return over_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop();
    --idle_;
    lock.unlock();
    task();
    lock.lock();
    ++idle_;
  }
}

void ConnectionThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace binocle::http
