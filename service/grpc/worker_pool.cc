#include "service/grpc/worker_pool.h"

#include <algorithm>
#include <utility>

namespace binocle {

WorkerPool::WorkerPool(int threads, size_t max_queued) : max_queued_(max_queued), idle_(threads) {
  for (int i = 0; i < threads + 1; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::optional<int64_t> WorkerPool::Post(About about, std::function<void()> task) {
  int64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (of(about).size() >= static_cast<size_t>(idle_.FreeFor(about)) + max_queued_) return {};
    number = next_number_++;
    of(about).push_back({.number = number, .about = about, .run = std::move(task)});
  }
  changed_.notify_one();
  return number;
}

void WorkerPool::Drop(int64_t number) {
  std::optional<Task> dropped;  // goes after the lock: what it holds may want to post
  const std::lock_guard lock(mutex_);
  for (Queue& queue : waiting_) {
    const auto at = std::find_if(queue.begin(), queue.end(),
                                 [&](const Task& task) { return task.number == number; });
    if (at == queue.end()) continue;
    dropped = std::move(*at);
    queue.erase(at);
    return;
  }
}

// By arrival, among those that a thread may take.
std::optional<WorkerPool::Task> WorkerPool::Next() {
  Queue* next = nullptr;
  for (Queue& queue : waiting_) {
    if (queue.empty() || idle_.FreeFor(queue.front().about) == 0) continue;
    if (next == nullptr || queue.front().number < next->front().number) next = &queue;
  }
  if (next == nullptr) return {};
  std::optional<Task> task = std::move(next->front());
  next->pop_front();
  return task;
}

void WorkerPool::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    std::optional<Task> task;
    changed_.wait(lock, [&] {
      task = Next();
      return task || (stop_ && waiting_[0].empty() && waiting_[1].empty());
    });
    if (!task) return;
    const About about = task->about;
    idle_.Take(about);
    lock.unlock();
    task->run();
    task.reset();
    lock.lock();
    idle_.Give(about);
    // This thread may take what it finds; a task about pictures may have waited for it to become one of those that take pictures.
    changed_.notify_all();
  }
}

}  // namespace binocle
