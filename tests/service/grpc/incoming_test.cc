#include "service/grpc/incoming.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <functional>
#include <string>

#include "tests/service/grpc/server_testing.h"

namespace binocle {
namespace {

using google::protobuf::io::ArrayInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

enum WireType : uint32_t { kVarint = 0, kLength = 2, kStart = 3, kEnd = 4 };

// Bytes written tag by tag, as no message class would.
class Wire {
 public:
  Wire& Tag(uint32_t field, WireType type) { return Number(field << 3 | type); }
  Wire& Number(uint64_t number) {
    StringOutputStream stream(&bytes_);
    CodedOutputStream(&stream).WriteVarint64(number);
    return *this;
  }
  Wire& Field(uint32_t field, const std::string& inside) {
    Tag(field, kLength).Number(inside.size());
    bytes_ += inside;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// In pieces of `block` bytes, as slices of a network's buffer are.
WireCheck Check(const std::string& wire, const google::protobuf::Descriptor& type, int64_t most,
                int block = -1) {
  ArrayInputStream stream(wire.data(), static_cast<int>(wire.size()), block);
  return CheckWire(stream, type, most);
}

void ExpectCount(const std::string& wire, const google::protobuf::Descriptor& type, int64_t count) {
  for (const int block : {-1, 1, 7}) {
    EXPECT_EQ(Check(wire, type, count, block), WireCheck::kFine);
    EXPECT_EQ(Check(wire, type, count - 1, block), WireCheck::kTooMany);
  }
}

const auto& kAsk = *v1::AskRequest::descriptor();
const uint32_t kImages = v1::AskRequest::kImagesFieldNumber;

TEST(Elements, AreCountedAtEveryDepth) {
  v1::AskRequest request;
  EXPECT_EQ(Check(request.SerializeAsString(), kAsk, 0), WireCheck::kFine);
  request.set_prompt(std::string(100'000, 'a'));
  ExpectCount(request.SerializeAsString(), kAsk, 1);
  for (int i = 0; i < 5; ++i) request.add_images();
  ExpectCount(request.SerializeAsString(), kAsk, 6);
  request.mutable_images(2)->set_data(std::string(300, '\x12'));
  ExpectCount(request.SerializeAsString(), kAsk, 7);
  auto& message = *request.add_messages();
  message.add_images()->set_id("a");
  ExpectCount(request.SerializeAsString(), kAsk, 10);
}

TEST(Elements, OfPackedFieldsCount) {
  inference::ModelInferRequest request;
  auto& contents = *request.add_inputs()->mutable_contents();
  for (int i = 0; i < 100; ++i) {
    contents.add_fp64_contents(1.5);
    contents.add_bool_contents(true);
  }
  ExpectCount(request.SerializeAsString(), *inference::ModelInferRequest::descriptor(),
              4 + 100 + 100);
}

TEST(Elements, NobodyHidesThemBehindAGroup) {
  // In a group a field has no type: what would be a broken picture outside is only unknown here, to protobuf too.
  Wire wire;
  wire.Tag(999, kStart).Field(kImages, "\xff\xff\xff").Tag(999, kEnd);
  for (int i = 0; i < 1000; ++i) wire.Field(kImages, "");
  v1::AskRequest request;
  ASSERT_TRUE(request.ParseFromString(wire.bytes()));
  ASSERT_EQ(request.images_size(), 1000);
  ExpectCount(wire.bytes(), kAsk, 1003);
}

TEST(Elements, NobodyHidesThemBeyondTheEndOfAnInnerMessage) {
  // protobuf reads the outer message's elements as the inner one's, whose length promises more than the outer one has.
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += Wire().Field(1, "").bytes();
  std::string inner =
      Wire().Tag(v1::Constraint::kChoicesFieldNumber, kLength).Number(flood.size()).bytes();
  Wire wire;
  wire.Tag(v1::AskRequest::kConstraintFieldNumber, kLength).Number(inner.size() + 2);
  EXPECT_EQ(Check(wire.bytes() + inner + flood, kAsk, 10), WireCheck::kBroken);
}

// Whatever surrounds a flood of elements, on two levels, with lengths that are right or are not: what protobuf takes is fine or too
// much, and a message that is fine has no flood in it.
TEST(Elements, TheCheckAgreesWithProtobuf) {
  uint32_t state = 1;
  const auto random = [&](uint32_t n) {
    return ((state = state * 1664525u + 1013904223u) >> 16) % n;
  };
  const auto noise = [&] {
    std::string wire;
    for (uint32_t i = random(5); i > 0; --i) {
      if (random(3) == 0) {
        wire += static_cast<char>(random(256));
      } else {
        Wire field;
        const auto types = {kVarint, kLength, kStart, kEnd};
        wire += field.Tag(1 + random(20), types.begin()[random(4)]).Number(random(4)).bytes();
      }
    }
    return wire;
  };
  int taken = 0, floods = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string inside = noise();
    for (int i = random(2) == 0 ? 300 : 0; i > 0; --i)
      inside += Wire().Field(1 + random(4), "").bytes();
    const size_t wrong = random(4) == 0 ? random(700) : 0;
    Wire wire;
    wire.Tag(1 + random(20), kLength).Number(inside.size() + wrong);
    const std::string message = noise() + wire.bytes() + inside + noise();
    v1::AskRequest request;
    const bool whole = request.ParseFromString(message);
    const WireCheck check = Check(message, kAsk, 250);
    if (whole) {
      EXPECT_NE(check, WireCheck::kBroken) << "round " << round;
      ++taken;
    }
    if (check == WireCheck::kFine) {
      EXPECT_LE(request.images_size() + request.messages_size(), 250);
    }
    floods += check == WireCheck::kTooMany;
  }
  EXPECT_GT(taken, 3000);
  EXPECT_GT(floods, 1000);
}

class CrowdedTest : public testing::ServerTest {};

TEST_F(CrowdedTest, MessagesOfTooManyElementsAreRefusedUnread) {
  Start();
  v1::AskRequest request;
  request.set_prompt("What?");
  std::string unknown;
  for (int64_t i = 0; i <= kMostMessageElements; ++i) unknown += Wire().Field(999, "").bytes();
  const auto with = [&](auto message) {
    auto& fields = *message.GetReflection()->MutableUnknownFields(&message);
    EXPECT_TRUE(fields.ParseFromString(unknown));
    return message;
  };
  const auto expect_refused = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(status.error_message(),
              "request has more than 1000000 fields and elements, the limit");
  };
  {
    grpc::ClientContext context;
    expect_refused(stub_->Ask(&context, with(request), &answer_));
  }
  {
    grpc::ClientContext context;
    v1::GenerateRequest generate;
    generate.set_prompt("What?");
    const auto stream = stub_->Generate(&context, with(generate));
    v1::GenerateResponse response;
    EXPECT_FALSE(stream->Read(&response));
    expect_refused(stream->Finish());
  }
  {
    grpc::ClientContext context;
    v1::UploadImageResponse response;
    const auto upload = stub_->UploadImage(&context, &response);
    upload->Write(with(v1::UploadImageRequest()));
    upload->WritesDone();
    expect_refused(upload->Finish());
  }
  EXPECT_TRUE(Ask("What?").ok()) << "the others are answered";
}

}  // namespace
}  // namespace binocle
