#include "service/engine/preparation.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace binocle {

void PreparationQueue::Read(Reading reading) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    readings_.push_back(std::move(reading));
  }
  wake_.notify_one();
}

void PreparationQueue::Decode(const DecodeOrder::Entry& entry, Decoding decoding) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || decoding.over()) return;
    // In this order: what is in order_ is taken out of decodings_, also where the second throws for want of memory.
    decodings_.emplace(entry.id, std::move(decoding));
    order_.Add(entry);
  }
  wake_.notify_one();
}

void PreparationQueue::Drop(int64_t id) {
  // What they hold is let go of without the lock.
  std::vector<Reading> readings;
  Decoding decoding;
  const std::lock_guard lock(mutex_);
  const auto dropped = std::stable_partition(readings_.begin(), readings_.end(),
                                             [&](const Reading& r) { return r.id != id; });
  readings.assign(std::make_move_iterator(dropped), std::make_move_iterator(readings_.end()));
  readings_.erase(dropped, readings_.end());
  order_.Remove(id);
  if (auto found = decodings_.extract(id)) decoding = std::move(found.mapped());
}

void PreparationQueue::Encoded(int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    order_.Encoded(bytes);
  }
  wake_.notify_all();
}

std::function<void()> PreparationQueue::Next() {
  std::function<void()> task = NextReading();
  return task ? task : NextDecoding();
}

std::function<void()> PreparationQueue::NextReading() {
  const int64_t most = order_.LargeWaits() ? 1 : kMostLongReadings;
  const bool long_may = long_readings_ < most && long_readings_ + decoding_ < most_long_;
  auto next = readings_.end();
  for (auto reading = readings_.begin(); reading != readings_.end(); ++reading) {
    if (reading->takes_long && !long_may) continue;
    if (next == readings_.end() || reading->priority > next->priority) next = reading;
  }
  if (next == readings_.end()) return {};
  Reading taken = std::move(*next);
  readings_.erase(next);
  if (!taken.takes_long) return taken.task;
  ++long_readings_;
  return [this, task = std::move(taken.task)] {
    task();
    {
      const std::lock_guard lock(mutex_);
      --long_readings_;
    }
    wake_.notify_all();
  };
}

std::function<void()> PreparationQueue::NextDecoding() {
  if (long_readings_ + decoding_ >= most_long_) return {};
  const std::optional<DecodeOrder::Entry> entry = order_.Take(long_readings_);
  if (!entry) return {};
  ++decoding_;
  Decoding decoding = std::move(decodings_.extract(entry->id).mapped());
  return [this, entry = *entry, decoding = std::move(decoding)] {
    const int64_t bytes = decoding.decode();
    {
      const std::lock_guard lock(mutex_);
      --decoding_;
      order_.Decoded(entry, bytes);
    }
    wake_.notify_all();
    decoding.then(std::make_unique<Ahead>(*this, bytes));
  };
}

bool PreparationQueue::Work() {
  std::function<void()> task;
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return closed_ || (task = Next()); });
    if (!task) return false;
  }
  task();
  return true;
}

void PreparationQueue::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_all();
}

bool PreparationQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

PreparationThreads::PreparationThreads(PreparationQueue& queue, int threads) : queue_(queue) {
  try {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        while (queue_.Work()) {
        }
      });
    }
  } catch (const std::system_error& error) {
    Stop();
    Throw(Code::kResourceExhausted, "threads: the system gave too few for reading pictures (",
          error.code().message(), ")");
  }
}

PreparationThreads::~PreparationThreads() { Stop(); }

void PreparationThreads::Stop() {
  queue_.Close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace binocle
