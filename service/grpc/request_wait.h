// What becomes of a call whose request does not come. gRPC tells of a message when it is whole, so that one that is half sent and one that
// comes slowly look alike until then: both have as long as a client may stall. Who is slower, or has more, has UploadImage, where each
// piece has a time of its own.
//
// A request is one message and the end of what its client sends. Stock clients send both at once; what came behind the message would be kept by gRPC
// for as long as the call lasts. For that end there are some seconds, however long a client may stall.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <optional>

#include "service/grpc/call_gate.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// The wait of one call, from its beginning. Used by one thread at a time.
class RequestWait {
 public:
  // A read has come back, with a message or without. Nothing: read on. Else how the wait is over: OK where there is a request.
  std::optional<grpc::Status> OnRead(bool message, const grpc::CallbackServerContext& context,
                                     const CallGate::Call& call);
  // How it ends if it has lasted since `before` or longer; nothing: it has not, or is over.
  std::optional<grpc::Status> IfLate(StallWatch::Clock::time_point before) const;
  bool over() const { return !since_; }
  // A message has come.
  bool come() const { return come_; }

 private:
  std::optional<StallWatch::Clock::time_point> since_ = StallWatch::Clock::now();
  bool come_ = false;  // the message
};

grpc::Status RequestIsLate();
// gRPC ends a call whose client leaves, and one whose message is above the limit or compressed, and does not tell us which. `call`'s deadline, and our own
// end, are told apart.
grpc::Status RequestIsCut(const CallGate::Call& call);
// The client has sent a second message, or does not say that it sends none.
grpc::Status RequestHasNoEnd();

}  // namespace binocle
