// UploadImage, and requests that name what was uploaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/common/sha256.h"
#include "tests/service/grpc/server_testing.h"

namespace binocle {
namespace {

using testing::DetailOf;
using ::testing::HasSubstr;
using testing::Parse;
using testing::ServerTest;
using testing::Soon;

class UploadTest : public ServerTest {
 protected:
  // Sends messages in protobuf's text format and says what came of it.
  grpc::Status Upload(const std::vector<std::string>& pieces) {
    grpc::ClientContext context;
    const auto writer = stub_->UploadImage(&context, &uploaded_);
    for (const std::string& piece : pieces) {
      if (!writer->Write(Parse<v1::UploadImageRequest>(piece))) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  v1::UploadImageResponse uploaded_;
};

TEST_F(UploadTest, AnUploadedPictureIsAskedAboutByItsId) {
  Start();
  const std::string id = Sha256Hex("abcdef");
  ASSERT_TRUE(
      Upload({"metadata { bytes: 6 id: '" + id + "' }", "chunk: 'abc'", "chunk: 'def'"}).ok());
  EXPECT_EQ(uploaded_.id(), id);
  EXPECT_EQ(uploaded_.bytes(), 6);
  grpc::ClientContext context;
  v1::AskRequest request;
  request.set_prompt("say yes");
  request.add_images()->set_id(id);
  ASSERT_TRUE(stub_->Ask(&context, request, &answer_).ok());
  EXPECT_EQ(backend_->last().messages[0].images[0].bytes, "abcdef");
  EXPECT_EQ(server_->images().entries, 1);
}

TEST_F(UploadTest, BadUploadsAreRefusedAndLeaveNothing) {
  GrpcServerOptions options;
  options.limits.images.max_image_bytes = 8;
  Start(std::move(options));
  const auto expect = [&](const std::vector<std::string>& pieces, const char* field,
                          const char* description,
                          grpc::StatusCode code = grpc::StatusCode::INVALID_ARGUMENT) {
    const grpc::Status status = Upload(pieces);
    EXPECT_EQ(status.error_code(), code) << pieces[0];
    const auto bad = DetailOf<google::rpc::BadRequest>(status);
    ASSERT_EQ(bad.field_violations_size(), 1) << status.error_message();
    EXPECT_EQ(bad.field_violations(0).field(), field);
    EXPECT_EQ(bad.field_violations(0).description(), description);
  };
  expect({"chunk: '12345678'", "chunk: '9'", "chunk: '0'"}, "chunk", "9 bytes, expected at most 8");
  expect({"metadata { bytes: 9 }", "chunk: '1'"}, "metadata.bytes", "is 9, expected 1 to 8");
  expect({"metadata { bytes: 0 }"}, "metadata.bytes", "is 0, expected 1 to 8");
  expect({"metadata { bytes: 3 }", "chunk: '1'"}, "chunk", "1 bytes, metadata.bytes tells 3");
  expect({"metadata { bytes: 3 }", "chunk: '1234'"}, "chunk", "4 bytes, metadata.bytes tells 3");
  expect({"chunk: '1'", "metadata {}"}, "metadata", "is not the first message, expected a chunk");
  expect({"metadata { id: 'x' }"}, "metadata.id",
         "is no SHA-256, expected 64 lower-case hexadecimal digits");
  expect({"metadata { id: '" + std::string(64, '0') + "' }", "chunk: '1'"}, "metadata.id",
         "is another SHA-256 than that of the bytes", grpc::StatusCode::DATA_LOSS);
  expect({""}, "part", "is not set, expected metadata or a chunk");
  expect({"metadata {}"}, "chunk", "no bytes came");
  EXPECT_TRUE(Soon([&] { return server_->in_flight() == 0; }));
  EXPECT_EQ(server_->images().entries, 0);
  EXPECT_EQ(server_->images().pending_bytes, 0);
}

TEST_F(UploadTest, AnUploadThatIsCancelledLeavesNothing) {
  Start();
  grpc::ClientContext context;
  const auto writer = stub_->UploadImage(&context, &uploaded_);
  writer->Write(Parse<v1::UploadImageRequest>("chunk: 'abc'"));
  EXPECT_TRUE(Soon([&] { return server_->images().pending_bytes == 3; }));
  context.TryCancel();
  EXPECT_FALSE(writer->Finish().ok());
  EXPECT_TRUE(
      Soon([&] { return server_->images().pending_bytes == 0 && server_->in_flight() == 0; }));
  EXPECT_EQ(server_->images().entries, 0);
}

TEST_F(UploadTest, AnUploadThatStallsIsEnded) {
  GrpcServerOptions options;
  options.stall_limit = std::chrono::milliseconds(100);
  Start(std::move(options));
  grpc::ClientContext context;
  const auto writer = stub_->UploadImage(&context, &uploaded_);
  writer->Write(Parse<v1::UploadImageRequest>("chunk: 'abc'"));
  EXPECT_TRUE(Soon([&] { return server_->images().pending_bytes == 3; }));
  EXPECT_TRUE(
      Soon([&] { return server_->images().pending_bytes == 0 && server_->in_flight() == 0; }));
  EXPECT_EQ(server_->images().entries, 0);
  EXPECT_FALSE(writer->Finish().ok());
}

}  // namespace
}  // namespace binocle
