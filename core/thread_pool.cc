#include "core/thread_pool.h"

#include <chrono>
#include <iterator>
#include <system_error>

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
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { Work(i); });
  } catch (const std::system_error& error) {
    const int64_t started = std::ssize(workers_) + 1;
    Stop();
    Throw(Code::kResourceExhausted, "threads: the system gave ", started, " of ", threads, " (",
          error.code().message(), "), expected as many as asked for");
  }
}

void ThreadPool::Stop() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::TakeTasks(int thread) {
  for (int64_t i = next_.fetch_add(1); i < tasks_; i = next_.fetch_add(1)) (*body_)(i, thread);
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  while (true) {
    if (!SpinUntil([&] { return generation_.load() != seen; })) generation_.wait(seen);
    if (generation_.load() == seen) continue;
    seen = generation_.load();
    if (stop_.load()) return;
    TakeTasks(thread);
    if (busy_.fetch_sub(1) == 1) busy_.notify_one();
  }
}

void ThreadPool::Run(int64_t tasks, const std::function<void(int64_t, int)>& body) {
  if (tasks <= 0) return;
  if (workers_.empty() || tasks == 1) {
    for (int64_t i = 0; i < tasks; ++i) body(i, 0);
    return;
  }
  body_ = &body;
  tasks_ = tasks;
  next_.store(0);
  busy_.store(static_cast<int>(workers_.size()));
  generation_.fetch_add(1);
  generation_.notify_all();
  TakeTasks(0);
  if (SpinUntil([&] { return busy_.load() == 0; })) return;
  for (int left = busy_.load(); left != 0; left = busy_.load()) busy_.wait(left);
}

}  // namespace binocle
