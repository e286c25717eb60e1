#include "service/grpc/request_wait.h"

#include "binocle/error.h"
#include "service/grpc/status.h"

namespace binocle {

grpc::Status RequestIsLate() {
  return StatusOf(Error(Code::kDeadlineExceeded, "the request has not come whole in time"));
}

grpc::Status RequestIsCut() {
  return {grpc::StatusCode::CANCELLED,
          "the call has ended before its request was whole: the client has gone, or the request is "
          "above max_message_bytes or compressed"};
}

grpc::Status RequestIsMissing(const grpc::CallbackServerContext& context) {
  if (context.IsCancelled()) return RequestIsCut();
  return StatusOf(
      Error(Code::kInvalidArgument,
            "the request is missing, or is no message of the type that the method takes"));
}

}  // namespace binocle
