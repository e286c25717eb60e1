#include "service/grpc/incoming.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "binocle/error.h"
#include "service/common/text.h"

namespace binocle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

// protobuf reads no deeper either.
constexpr int kMostDepth = 100;

// Bytes of an element of a packed field, at least.
int SmallestElement(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_FIXED32:
    case FieldDescriptor::TYPE_SFIXED32:
    case FieldDescriptor::TYPE_FLOAT: return 4;
    case FieldDescriptor::TYPE_FIXED64:
    case FieldDescriptor::TYPE_SFIXED64:
    case FieldDescriptor::TYPE_DOUBLE: return 8;
    default: return 1;
  }
}

class ElementCounter {
 public:
  ElementCounter(google::protobuf::io::ZeroCopyInputStream& wire, int64_t most)
      : wire_(&wire), most_(most) {}

  // Stops at the end, at the limit, and where protobuf does. Groups, which no message here has, are unknown with all that is in them.
  void Count(const Descriptor& type, int depth) {
    int open_groups = 0;
    while (!above()) {
      const uint32_t tag = wire_.ReadTag();
      if (tag == 0) return;
      ++count_;
      uint64_t number = 0;
      bool sound = true;
      switch (WireFormatLite::GetTagWireType(tag)) {
        case WireFormatLite::WIRETYPE_VARINT: sound = wire_.ReadVarint64(&number); break;
        case WireFormatLite::WIRETYPE_FIXED32: sound = wire_.Skip(4); break;
        case WireFormatLite::WIRETYPE_FIXED64: sound = wire_.Skip(8); break;
        case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
          const FieldDescriptor* field =
              open_groups > 0 ? nullptr
                              : type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
          int bytes = 0;
          sound = wire_.ReadVarintSizeAsInt(&bytes) && CountInside(field, bytes, depth);
          break;
        }
        case WireFormatLite::WIRETYPE_START_GROUP: ++open_groups; break;
        case WireFormatLite::WIRETYPE_END_GROUP: sound = --open_groups >= 0; break;
        default: sound = false;
      }
      if (!sound) return;
    }
  }
  bool above() const { return count_ > most_; }

 private:
  // Of the `bytes` that follow. False: they are not all there.
  bool CountInside(const FieldDescriptor* field, int bytes, int depth) {
    if (field != nullptr && field->message_type() != nullptr && depth < kMostDepth) {
      const auto outside = wire_.PushLimit(bytes);
      Count(*field->message_type(), depth + 1);
      const bool whole = wire_.BytesUntilLimit() == 0;
      wire_.PopLimit(outside);
      return whole;
    }
    if (field != nullptr && field->is_packable()) count_ += bytes / SmallestElement(*field);
    return wire_.Skip(bytes);
  }

  google::protobuf::io::CodedInputStream wire_;
  int64_t most_, count_ = 0;
};

}  // namespace

bool HasMoreElements(google::protobuf::io::ZeroCopyInputStream& wire,
                     const google::protobuf::Descriptor& type, int64_t most) {
  ElementCounter counter(wire, most);
  counter.Count(type, 0);
  return counter.above();
}

void ThrowTooManyElements() {
  throw Error(Code::kResourceExhausted, Text("request has more than ", kMostMessageElements,
                                             " fields and elements, the limit"));
}

}  // namespace binocle
