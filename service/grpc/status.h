// From binocle::Error to what a client sees: a grpc::Status with google.rpc details. No exception leaves service/grpc.
#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "binocle/error.h"
#include "service/grpc/violations.h"

namespace binocle {

// What a status tells beside code and message.
struct StatusDetails {
  std::vector<FieldViolation> violations;  // google.rpc.BadRequest
  // google.rpc.RetryInfo. Absent: a second for a BusyError and UNAVAILABLE without violations, none else.
  std::optional<std::chrono::milliseconds> retry;
  std::string reason;  // google.rpc.ErrorInfo, domain "binocle"; empty: none
};

// What an error says of a request's fields, as StatusOf tells it; none where it is about none.
std::vector<FieldViolation> ViolationsOf(const Error& error);

// The one function that makes a status of an error. An error about an option (Error::option) gets a violation with that option's path in
// the requests of binocle.v1, and so does one whose message begins with such a path ("images[0]: is no picture"), unless `details` has
// violations. Details are kept below 4 KiB, half of what clients take as metadata.
grpc::Status StatusOf(const Error& error, StatusDetails details = {});

// It is about what others hold and not about the request: in no other words, which would make another error of it.
bool Passes(const Error& error);

// Of a request with faults.
grpc::Status StatusOf(const Violations& violations);

// Runs `action` and makes what it throws a status; OK when it throws nothing. Exceptions that are no binocle::Error are INTERNAL, memory
// that runs out RESOURCE_EXHAUSTED.
grpc::Status Guarded(const std::function<void()>& action);

// OK, or RESOURCE_EXHAUSTED where a reply is above the limit on messages.
grpc::Status StatusOfReply(int64_t bytes, int64_t max_message_bytes);

// CANCELLED: the client lets what is written wait for too long.
grpc::Status ReaderHasStopped();

// CANCELLED: what is written waits for the client while other replies have no room.
grpc::Status ReaderGivesWay();

// RESOURCE_EXHAUSTED: so many messages of a stream wait for its client, as many as may.
grpc::Status TooManyMessages(size_t messages);

// RESOURCE_EXHAUSTED, to be tried again: other replies that wait for their clients take all the room.
grpc::Status NoRoomForReply();

}  // namespace binocle
