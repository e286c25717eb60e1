// What replies may have of a server's memory, and of its time.
#pragma once

#include <cstdint>
#include <memory>

#include "service/common/waiting.h"

namespace binocle {

struct ReplyLimits {
  int64_t max_message_bytes = 0;
  // A client that does not read has as long as the watch says, and what a message's bytes take at this speed.
  int64_t least_bytes_per_second = kLeastBytesPerSecond;
  // Of messages that have been made and are not written.
  WaitingLimits waiting;
  const std::shared_ptr<WaitingBytes> all =
      std::make_shared<WaitingBytes>();  // with the calls, which may outlive the server
};

}  // namespace binocle
