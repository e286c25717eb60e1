// Memory that the bodies of all connections may take together.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace binocle::http {

// From any thread.
class BodyRoom {
 public:
  explicit BodyRoom(int64_t bytes) : bytes_(bytes) {}

  // Given back when it goes. The room must outlive it.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept;
    Share& operator=(Share&& other) noexcept;
    ~Share();

   private:
    friend class BodyRoom;
    BodyRoom* room_ = nullptr;
    int64_t bytes_ = 0;
  };

  // Adds to `share`; false, and nothing added, where there is not so much left.
  bool TryTake(int64_t bytes, Share& share);
  void Give(int64_t bytes, Share& share);

  // Waits until there is so much, in the order of calls; more than all of it counts as all. Whoever has a share from here must not wait for
  // anybody, so that all get theirs.
  Share Await(int64_t bytes);

 private:
  const int64_t bytes_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int64_t taken_ = 0;
  int64_t next_ = 0, admitted_ = 0;  // numbers of those who wait
};

// A body, and its share of the room for those that are being read.
struct Body {
  std::string text;
  BodyRoom::Share share;
};

}  // namespace binocle::http
