#include "service/grpc/request_wait.h"

#include <algorithm>
#include <chrono>

#include "binocle/error.h"
#include "service/grpc/status.h"

namespace binocle {
namespace {

// Stock clients say with their message that it is the only one. Until they do it is unpacked, and in no queue whose bytes are limited.
constexpr std::chrono::seconds kForTheEnd{2};

}  // namespace

std::optional<grpc::Status> RequestWait::OnRead(bool message,
                                                const grpc::CallbackServerContext& context,
                                                const CallGate::Call& call) {
  const bool first = !come_;
  if (message && first) {
    come_ = true;
    since_ = StallWatch::Clock::now();
    return std::nullopt;
  }
  since_.reset();
  if (message) return RequestHasNoEnd();
  if (context.IsCancelled()) return RequestIsCut(call);
  if (!first) return grpc::Status::OK;
  return StatusOf(
      Error(Code::kInvalidArgument,
            "the request is missing, or is no message of the type that the method takes"));
}

std::optional<grpc::Status> RequestWait::IfLate(StallWatch::Clock::time_point before) const {
  if (!since_) return std::nullopt;
  const auto latest = come_ ? std::max(before, StallWatch::Clock::now() - kForTheEnd) : before;
  if (*since_ > latest) return std::nullopt;
  return come_ ? RequestHasNoEnd() : RequestIsLate();
}

grpc::Status RequestIsLate() {
  return StatusOf(Error(Code::kDeadlineExceeded, "the request has not come whole in time"));
}

grpc::Status RequestIsCut(const CallGate::Call& call) {
  const grpc::Status broken = call.Broken();
  if (broken.error_code() != grpc::StatusCode::CANCELLED) return broken;
  return {grpc::StatusCode::CANCELLED,
          "the call has ended before its request was whole: the client has gone, or the request is "
          "above max_message_bytes or compressed"};
}

grpc::Status RequestHasNoEnd() {
  return StatusOf(Error(Code::kInvalidArgument,
                        "the request does not end with its message, expected one message and the "
                        "end of what the client sends"));
}

}  // namespace binocle
