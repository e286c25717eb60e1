#include "core/thread_pool.h"

#include <chrono>

#include "core/error.h"

namespace binocle {
namespace {

// Long enough to bridge the serial code between two ops, short enough not to be seen in an idle process's load.
constexpr auto kSpin = std::chrono::microseconds(50);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

template <typename Condition>
bool SpinUntil(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (condition()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  BINOCLE_CHECK(threads >= 1, threads);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::TakeTasks() {
  for (int64_t i = next_.fetch_add(1); i < tasks_; i = next_.fetch_add(1)) (*body_)(i);
}

void ThreadPool::Work() {
  uint32_t seen = 0;
  while (true) {
    if (!SpinUntil([&] { return generation_.load() != seen; })) generation_.wait(seen);
    if (generation_.load() == seen) continue;
    seen = generation_.load();
    if (stop_.load()) return;
    TakeTasks();
    if (busy_.fetch_sub(1) == 1) busy_.notify_one();
  }
}

void ThreadPool::Run(int64_t tasks, const std::function<void(int64_t)>& body) {
  if (tasks <= 0) return;
  if (workers_.empty() || tasks == 1) {
    for (int64_t i = 0; i < tasks; ++i) body(i);
    return;
  }
  body_ = &body;
  tasks_ = tasks;
  next_.store(0);
  busy_.store(static_cast<int>(workers_.size()));
  generation_.fetch_add(1);
  generation_.notify_all();
  TakeTasks();
  if (SpinUntil([&] { return busy_.load() == 0; })) return;
  for (int left = busy_.load(); left != 0; left = busy_.load()) busy_.wait(left);
}

}  // namespace binocle
