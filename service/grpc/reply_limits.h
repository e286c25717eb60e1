// What replies may have of a server's memory.
#pragma once

#include <cstdint>
#include <memory>

#include "service/grpc/reply_room.h"

namespace binocle {

struct ReplyLimits {
  int64_t max_message_bytes = 0;
  std::shared_ptr<ReplyRoom> room;  // with the calls, which may outlive the server
};

}  // namespace binocle
