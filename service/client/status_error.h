// From what a call ended with to a CallError.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "binocle/client.h"
#include "service/client/to_proto.h"

namespace binocle {

struct CallFacts {
  std::string target;
  std::string request_id;
  std::chrono::milliseconds timeout{0};
};

// `names`: pictures are called what the caller calls them, options by their own names.
CallError ErrorOf(const grpc::Status& status, const CallFacts& facts, const PictureNames& names);

}  // namespace binocle
