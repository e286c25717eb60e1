#include "service/grpc/reply_room.h"

#include <algorithm>
#include <utility>

namespace binocle {

ReplyRoom::Clock::time_point ReplyRoom::DueOf(int64_t bytes) {
  return Clock::now() + std::chrono::seconds(1) + TimeOf(bytes, int64_t{1} << 20);
}

void ReplyRoom::Join(std::weak_ptr<Holder> holder) {
  const std::lock_guard lock(mutex_);
  std::erase_if(holders_, [](const std::weak_ptr<Holder>& other) { return other.expired(); });
  holders_.push_back(std::move(holder));
}

void ReplyRoom::MakeRoom(int64_t bytes) {
  const auto fits = [&] { return *all_ + bytes <= limits_.together; };
  if (bytes > limits_.together || fits()) return;
  std::vector<std::shared_ptr<Holder>> holders;
  {
    const std::lock_guard lock(mutex_);
    for (const std::weak_ptr<Holder>& holder : holders_)
      if (auto alive = holder.lock()) holders.push_back(std::move(alive));
  }
  struct Overdue {
    Clock::time_point due;
    Holder* holder;
  };
  std::vector<Overdue> overdue;
  const Clock::time_point now = Clock::now();
  for (const auto& holder : holders)
    if (const auto due = holder->Due(); due && *due < now) overdue.push_back({*due, holder.get()});
  std::sort(overdue.begin(), overdue.end(),
            [](const Overdue& a, const Overdue& b) { return a.due < b.due; });
  for (const Overdue& longest : overdue) {
    if (fits()) return;
    longest.holder->GiveWay();
  }
}

}  // namespace binocle
