// A message on its way out, as bytes: in memory it takes several times as much, and gRPC would keep it until it is written.
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "binocle/error.h"

namespace binocle {

// Of a message below protobuf's limit of 2 GiB; above it throws INTERNAL.
template <typename Message>
grpc::ByteBuffer BytesOf(const Message& message) {
  grpc::ByteBuffer bytes;
  bool owned = false;
  const grpc::Status status =
      grpc::SerializationTraits<Message>::Serialize(message, &bytes, &owned);
  if (!status.ok()) throw Error(Code::kInternal, status.error_message());
  return bytes;
}

}  // namespace binocle
