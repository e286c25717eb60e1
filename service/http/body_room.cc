#include "service/http/body_room.h"

#include <algorithm>
#include <utility>

namespace binocle::http {

BodyRoom::Share::Share(Share&& other) noexcept
    : room_(std::exchange(other.room_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

BodyRoom::Share& BodyRoom::Share::operator=(Share&& other) noexcept {
  std::swap(room_, other.room_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

BodyRoom::Share::~Share() {
  if (room_ != nullptr) room_->Give(bytes_, *this);
}

bool BodyRoom::TryTake(int64_t bytes, Share& share) {
  const std::lock_guard lock(mutex_);
  if (bytes > bytes_ - taken_) return false;
  taken_ += bytes;
  share.room_ = this;
  share.bytes_ += bytes;
  return true;
}

void BodyRoom::Give(int64_t bytes, Share& share) {
  const std::lock_guard lock(mutex_);
  taken_ -= bytes;
  share.bytes_ -= bytes;
  changed_.notify_all();
}

BodyRoom::Share BodyRoom::Await(int64_t bytes) {
  Share share;
  share.bytes_ = std::min(bytes, bytes_);
  std::unique_lock lock(mutex_);
  const int64_t number = next_++;
  changed_.wait(lock, [&] { return number == admitted_ && share.bytes_ <= bytes_ - taken_; });
  ++admitted_;
  taken_ += share.bytes_;
  share.room_ = this;
  changed_.notify_all();
  return share;
}

}  // namespace binocle::http
