// What replies may have of a server's memory, and of its time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#include "service/common/waiting.h"
#include "service/grpc/reply_room.h"

namespace binocle {

struct ReplyLimits {
  int64_t max_message_bytes = 0;
  int64_t least_bytes_per_second = kLeastBytesPerSecond;
  std::chrono::milliseconds most_time{0};
  std::shared_ptr<ReplyRoom> room;  // with the calls, which may outlive the server

  // What a client has for a message beside what the watch allows.
  std::chrono::milliseconds TimeToRead(int64_t bytes) const {
    return std::min(TimeOf(bytes, least_bytes_per_second), most_time);
  }
};

}  // namespace binocle
