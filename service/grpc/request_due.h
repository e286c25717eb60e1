// When a call's request should have come. gRPC tells of a message when it is whole, so that one that is half sent and one that comes slowly
// look alike until then.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <cstdint>

#include "service/grpc/stall_watch.h"

namespace binocle {

// From then on the client stalls: when the largest message has come at the least speed that is waited for. Who is slower, or has more,
// has UploadImage, where each piece has a time of its own.
inline constexpr int64_t kLeastBytesPerSecond = 1 << 20;
StallWatch::Clock::time_point RequestDue(int64_t max_message_bytes);

grpc::Status RequestIsLate();
// gRPC ends a call whose client leaves, and one whose message is above the limit or compressed, and does not tell us which.
grpc::Status RequestIsCut();
// Of a read that has failed: that, or the call has no message, or one that is none of the method's.
grpc::Status RequestIsMissing(const grpc::CallbackServerContext& context);

}  // namespace binocle
