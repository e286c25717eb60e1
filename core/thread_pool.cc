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
  loops_.fetch_add(1);
  loops_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::TakeTasks(int thread) {
  int32_t left = left_.load();
  while (left > 0) {
    if (!left_.compare_exchange_weak(left, left - 1)) continue;
    const int32_t tasks = tasks_.load(std::memory_order_relaxed);
    (*body_.load(std::memory_order_relaxed))(tasks - left, thread);
    if (done_.fetch_add(1) + 1 == tasks) done_.notify_one();
    left = left_.load();
  }
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  while (true) {
    if (!SpinUntil([&] { return loops_.load() != seen; })) loops_.wait(seen);
    seen = loops_.load();
    if (stop_.load()) return;
    TakeTasks(thread);
  }
}

void ThreadPool::Run(int64_t tasks, const std::function<void(int64_t, int)>& body) {
  if (tasks <= 0) return;
  BINOCLE_CHECK(tasks <= INT32_MAX, tasks);
  if (workers_.empty() || tasks == 1) {
    for (int64_t i = 0; i < tasks; ++i) body(i, 0);
    return;
  }
  const auto count = static_cast<int32_t>(tasks);
  body_.store(&body, std::memory_order_relaxed);
  tasks_.store(count, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  left_.store(count);
  loops_.fetch_add(1);
  loops_.notify_all();
  TakeTasks(0);
  if (SpinUntil([&] { return done_.load() == count; })) return;
  for (int32_t done = done_.load(); done != count; done = done_.load()) done_.wait(done);
}

}  // namespace binocle
