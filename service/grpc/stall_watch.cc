#include "service/grpc/stall_watch.h"

#include <utility>

namespace binocle {

StallWatch::StallWatch(std::chrono::milliseconds limit)
    : limit_(limit), thread_([this] { Run(); }) {}

StallWatch::~StallWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void StallWatch::Add(std::weak_ptr<Watched> watched) {
  const std::lock_guard lock(mutex_);
  watched_.push_back(std::move(watched));
}

void StallWatch::Run() {
  std::unique_lock lock(mutex_);
  const auto pause = limit_ / 10;
  while (!stopped_.wait_for(lock, pause, [&] { return stop_; })) {
    std::vector<std::shared_ptr<Watched>> alive;
    std::erase_if(watched_, [&](const std::weak_ptr<Watched>& watched) {
      alive.push_back(watched.lock());
      const bool gone = alive.back() == nullptr;
      if (gone) alive.pop_back();
      return gone;
    });
    lock.unlock();
    for (const auto& watched : alive) watched->EndIfStalled(Clock::now() - (limit_ - pause));
    alive.clear();
    lock.lock();
  }
}

}  // namespace binocle
