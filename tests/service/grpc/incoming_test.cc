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
bool HasMore(const std::string& wire, const google::protobuf::Descriptor& type, int64_t most,
             int block = -1) {
  ArrayInputStream stream(wire.data(), static_cast<int>(wire.size()), block);
  return HasMoreElements(stream, type, most);
}

void ExpectCount(const std::string& wire, const google::protobuf::Descriptor& type, int64_t count) {
  for (const int block : {-1, 1, 7}) {
    EXPECT_FALSE(HasMore(wire, type, count, block));
    EXPECT_TRUE(HasMore(wire, type, count - 1, block));
  }
}

const auto& kAsk = *v1::AskRequest::descriptor();
const uint32_t kImages = v1::AskRequest::kImagesFieldNumber;

TEST(Elements, AreCountedAtEveryDepth) {
  v1::AskRequest request;
  EXPECT_FALSE(HasMore(request.SerializeAsString(), kAsk, 0));
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

// Whatever precedes a flood of elements: either the count sees the flood, or protobuf stops in front of it.
TEST(Elements, TheCountSeesWhatProtobufReads) {
  uint32_t state = 1;
  const auto random = [&](uint32_t n) {
    return ((state = state * 1664525u + 1013904223u) >> 16) % n;
  };
  std::string flood;
  for (int i = 0; i < 500; ++i) flood += Wire().Field(kImages, "").bytes();
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string wire;
    for (uint32_t i = 1 + random(6); i > 0; --i) {
      if (random(2) == 0) {
        wire += static_cast<char>(random(256));
      } else {
        Wire field;
        const auto types = {kVarint, kLength, kStart, kEnd};
        field.Tag(random(30), types.begin()[random(4)]).Number(random(4));
        wire += field.bytes();
      }
    }
    v1::AskRequest request;
    const bool whole = request.ParseFromString(wire + flood);
    if (request.images_size() < 500) continue;
    read += whole;
    EXPECT_TRUE(HasMore(wire + flood, kAsk, 499)) << "round " << round;
  }
  EXPECT_GT(read, 500) << "floods that protobuf takes";
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
