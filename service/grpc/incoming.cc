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

class WireChecker {
 public:
  WireChecker(google::protobuf::io::ZeroCopyInputStream& wire, int64_t most)
      : wire_(&wire), most_(most) {}

  WireCheck Check(const Descriptor& type) {
    const bool whole = CheckFields(type, 0);
    return count_ > most_ ? WireCheck::kTooMany : whole ? WireCheck::kFine : WireCheck::kBroken;
  }

 private:
  // Up to the end of the message or the limit of elements. False where what is read can be no message. Groups, which no message here
  // has, are unknown with all that is in them.
  bool CheckFields(const Descriptor& type, int depth) {
    int open_groups = 0;
    while (count_ <= most_) {
      const uint32_t tag = wire_.ReadTag();
      if (tag == 0) return wire_.ConsumedEntireMessage() && open_groups == 0;
      ++count_;
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      uint64_t value = 0;
      int bytes = 0;
      bool sound = number > 0;
      switch (WireFormatLite::GetTagWireType(tag)) {
        case WireFormatLite::WIRETYPE_VARINT: sound = sound && wire_.ReadVarint64(&value); break;
        case WireFormatLite::WIRETYPE_FIXED32: sound = sound && wire_.Skip(4); break;
        case WireFormatLite::WIRETYPE_FIXED64: sound = sound && wire_.Skip(8); break;
        case WireFormatLite::WIRETYPE_START_GROUP: ++open_groups; break;
        case WireFormatLite::WIRETYPE_END_GROUP: sound = --open_groups >= 0; break;
        case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
          sound =
              sound && wire_.ReadVarintSizeAsInt(&bytes) &&
              CheckInside(open_groups > 0 ? nullptr : type.FindFieldByNumber(number), bytes, depth);
          break;
        default: sound = false;
      }
      if (!sound) return false;
    }
    return true;
  }

  // The `bytes` that follow, which are a message where the field is one.
  bool CheckInside(const FieldDescriptor* field, int bytes, int depth) {
    if (const int left = wire_.BytesUntilLimit(); left >= 0 && bytes > left) return false;
    if (field != nullptr && field->message_type() != nullptr && depth < kMostDepth) {
      const auto outside = wire_.PushLimit(bytes);
      const bool whole = CheckFields(*field->message_type(), depth + 1);
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

WireCheck CheckWire(google::protobuf::io::ZeroCopyInputStream& wire,
                    const google::protobuf::Descriptor& type, int64_t most) {
  return WireChecker(wire, most).Check(type);
}

void ThrowUnread(WireCheck check) {
  if (check == WireCheck::kTooMany) {
    throw Error(Code::kResourceExhausted, Text("request has more than ", kMostMessageElements,
                                               " fields and elements, the limit"));
  }
  throw Error(Code::kInvalidArgument,
              "the request is no message of the type that the method takes");
}

}  // namespace binocle
