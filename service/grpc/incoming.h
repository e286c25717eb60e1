// A message on its way in. Its elements are counted before it is read: two bytes on the wire are eighty in memory, and 64 MiB of
// them would be 2.5 GB.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstdint>

namespace binocle {

// More than any request has: what is long in one is a text or a picture, which is one field.
constexpr int64_t kMostMessageElements = 1'000'000;

enum class WireCheck : uint8_t {
  kFine,
  kTooMany,  // fields and elements, in the message and in what is in it
  kBroken,  // lengths or tags that no message has. protobuf's reader goes on beyond an inner message's end and only then refuses the whole
};

// What a message of this type is on the wire. Reads no further than it must.
WireCheck CheckWire(google::protobuf::io::ZeroCopyInputStream& wire,
                    const google::protobuf::Descriptor& type, int64_t most);

// RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
[[noreturn]] void ThrowUnread(WireCheck check);

template <typename Message>
class Incoming {
 public:
  // RESOURCE_EXHAUSTED where it has more elements than kMostMessageElements, INVALID_ARGUMENT where it is broken; it has not been read
  // then.
  const Message& get() const {
    if (check_ != WireCheck::kFine) ThrowUnread(check_);
    return message_;
  }
  // What is converted has copies of its own, which count for the queue.
  void Free() { Message().Swap(&message_); }

 private:
  friend class grpc::SerializationTraits<Incoming>;

  Message message_;
  WireCheck check_ = WireCheck::kFine;
};

}  // namespace binocle

// How gRPC reads one. A read that fails says nothing to the reactor, so that one that is not read succeeds and tells when asked.
template <typename Message>
class grpc::SerializationTraits<binocle::Incoming<Message>> {
 public:
  static Status Deserialize(ByteBuffer* buffer, binocle::Incoming<Message>* incoming) {
    {
      ProtoBufferReader wire(buffer);
      incoming->check_ = wire.status().ok() ? binocle::CheckWire(wire, *Message::descriptor(),
                                                                 binocle::kMostMessageElements)
                                            : binocle::WireCheck::kBroken;
    }
    if (incoming->check_ == binocle::WireCheck::kFine) {
      if (SerializationTraits<Message>::Deserialize(buffer, &incoming->message_).ok())
        return Status::OK;
      incoming->check_ = binocle::WireCheck::kBroken;
    }
    incoming->message_.Clear();
    buffer->Clear();
    return Status::OK;
  }
};
