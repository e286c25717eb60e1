// The memory of replies that wait for their clients, of all calls of a server. Where all of it is taken, who does not read gives way to
// who does.
//
// gRPC tells when a message has left it whole, and nothing before: a client that takes nothing of a long reply and answers pings looks like
// one that reads it over a slow line. So both keep their time while there is room, and lose it when there is none.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "service/common/waiting.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// From any thread.
class ReplyRoom {
 public:
  using Clock = StallWatch::Clock;

  // A call that has more waiting than everybody may have.
  class Holder {
   public:
    Holder() = default;
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    virtual ~Holder() = default;
    // When a client that reads would have had what is being written to it; nothing where nothing is.
    virtual std::optional<Clock::time_point> Due() const = 0;
    // Ends; what waits for its client no longer takes room.
    virtual void GiveWay() = 0;
  };

  explicit ReplyRoom(const WaitingLimits& limits) : limits_(limits) {}

  // Of one call.
  WaitingShare Share() const { return {limits_, all_}; }
  // When a client that reads has had so many bytes: a second, and a mebibyte in each. Who is slower may read on while there is room.
  static Clock::time_point DueOf(int64_t bytes);
  void Join(std::weak_ptr<Holder> holder);
  // Where so many more bytes have no room, but might, ends calls whose replies are overdue, the longest first, until they have or none is. It takes
  // these calls' locks: to be called without one.
  void MakeRoom(int64_t bytes);

 private:
  const WaitingLimits limits_;
  const std::shared_ptr<WaitingBytes> all_ =
      std::make_shared<WaitingBytes>();  // with the calls, which may outlive the server
  std::mutex mutex_;                     // guards what follows
  std::vector<std::weak_ptr<Holder>> holders_;
};

}  // namespace binocle
