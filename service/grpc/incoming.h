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

// More than any request has: a bias for each of 300,000 tokens is a message of two fields.
constexpr int64_t kMostMessageElements = 1'000'000;

// Whether a message of this type, as it is on the wire, has more than `most` fields and elements, in itself and in what is in it. Reads
// no further than it must. Where the wire's form is broken it is as far as protobuf's own reader comes.
bool HasMoreElements(google::protobuf::io::ZeroCopyInputStream& wire,
                     const google::protobuf::Descriptor& type, int64_t most);

// RESOURCE_EXHAUSTED.
[[noreturn]] void ThrowTooManyElements();

template <typename Message>
class Incoming {
 public:
  // RESOURCE_EXHAUSTED where it has more elements than kMostMessageElements; it has not been read then.
  const Message& get() const {
    if (too_many_) ThrowTooManyElements();
    return message_;
  }

 private:
  friend class grpc::SerializationTraits<Incoming>;

  Message message_;
  bool too_many_ = false;
};

}  // namespace binocle

// How gRPC reads one. A read that fails says nothing to the reactor, so that one of too many elements succeeds and tells when asked.
template <typename Message>
class grpc::SerializationTraits<binocle::Incoming<Message>> {
 public:
  static Status Deserialize(ByteBuffer* buffer, binocle::Incoming<Message>* incoming) {
    {
      ProtoBufferReader wire(buffer);
      incoming->too_many_ =
          wire.status().ok() &&
          binocle::HasMoreElements(wire, *Message::descriptor(), binocle::kMostMessageElements);
    }
    if (!incoming->too_many_)
      return SerializationTraits<Message>::Deserialize(buffer, &incoming->message_);
    incoming->message_.Clear();
    buffer->Clear();
    return Status::OK;
  }
};
