#include "service/grpc/worker_pool.h"

#include <algorithm>
#include <utility>

namespace binocle {

WorkerPool::WorkerPool(int threads, size_t max_queued)
    : max_queued_(max_queued), picture_threads_(static_cast<size_t>(threads)) {
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

// Threads that would take such a task now, were there no other.
size_t WorkerPool::IdleFor(About about) const {
  const size_t idle = picture_threads_ + 1 - busy_;
  if (about == About::kWords) return idle;
  return std::min(idle, picture_threads_ - busy_with_pictures_);
}

std::optional<int64_t> WorkerPool::Post(About about, std::function<void()> task) {
  int64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (of(about).size() >= IdleFor(about) + max_queued_) return {};
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
    if (queue.empty() || IdleFor(queue.front().about) == 0) continue;
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
    const size_t pictures = task->about == About::kPictures ? 1 : 0;
    ++busy_;
    busy_with_pictures_ += pictures;
    lock.unlock();
    task->run();
    task.reset();
    lock.lock();
    --busy_;
    busy_with_pictures_ -= pictures;
    // This thread may take what it finds; a task about pictures may have waited for it to become one of those that take pictures.
    changed_.notify_all();
  }
}

}  // namespace binocle
