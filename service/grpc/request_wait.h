// What becomes of a call whose request does not come. gRPC tells of a message when it is whole, so that one that is half sent and one that
// comes slowly look alike until then: both have as long as a client may stall. Who is slower, or has more, has UploadImage, where each
// piece has a time of its own.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

namespace binocle {

grpc::Status RequestIsLate();
// gRPC ends a call whose client leaves, and one whose message is above the limit or compressed, and does not tell us which.
grpc::Status RequestIsCut();
// Of a read that has failed: that, or the call has no message, or one that is none of the method's.
grpc::Status RequestIsMissing(const grpc::CallbackServerContext& context);

}  // namespace binocle
