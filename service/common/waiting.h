// Answers that wait for their clients, how much memory all of a server take together; and how slowly bytes may pass over HTTP.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace binocle {

// Over HTTP, which tells of every piece: a picture of some megabytes passes over a telephone; who is slower does not mean to arrive, or to read.
inline constexpr int64_t kLeastBytesPerSecond = 16 << 10;

// What so many bytes take, at that speed or another.
constexpr std::chrono::milliseconds TimeOf(int64_t bytes,
                                           int64_t bytes_per_second = kLeastBytesPerSecond) {
  return std::chrono::milliseconds(bytes * 1000 / bytes_per_second);
}

// How many bytes may wait to be written: so many of each answer, and more of one while all together have not so many. A burst that the
// engine makes faster than it is written, at most a request's whole answer, so waits for its client.
struct WaitingLimits {
  int64_t each = 0, together = 0;
};
// Of all answers of a server.
using WaitingBytes = std::atomic<int64_t>;

// What one answer has waiting. Used by one thread at a time.
class WaitingShare {
 public:
  // `all` is shared with the other answers, some of which may outlive the server.
  WaitingShare(const WaitingLimits& limits, std::shared_ptr<WaitingBytes> all)
      : limits_(limits), all_(std::move(all)) {}
  ~WaitingShare() { Clear(); }
  WaitingShare(const WaitingShare&) = delete;
  WaitingShare& operator=(const WaitingShare&) = delete;

  // False, and nothing added: the limits do not allow it.
  bool TryAdd(int64_t bytes) {
    const int64_t before = all_->fetch_add(bytes);
    if (bytes_ + bytes > limits_.each && before + bytes > limits_.together) {
      *all_ -= bytes;
      return false;
    }
    bytes_ += bytes;
    return true;
  }
  // Whatever the limits say: it is there already.
  void Add(int64_t bytes) {
    bytes_ += bytes;
    *all_ += bytes;
  }
  void Remove(int64_t bytes) {
    bytes_ -= bytes;
    *all_ -= bytes;
  }
  void Clear() { Remove(bytes_); }
  int64_t bytes() const { return bytes_; }
  // More than everybody may have.
  bool large() const { return bytes_ > limits_.each; }

 private:
  const WaitingLimits limits_;
  const std::shared_ptr<WaitingBytes> all_;
  int64_t bytes_ = 0;
};

}  // namespace binocle
