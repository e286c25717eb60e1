// UploadImage, and requests that name what was uploaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/common/sha256.h"
#include "tests/service/grpc/server_testing.h"

namespace binocle {
namespace {

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
  const auto expect = [&](const std::vector<std::string>& pieces, grpc::StatusCode code,
                          const char* words) {
    const grpc::Status status = Upload(pieces);
    EXPECT_EQ(status.error_code(), code) << pieces[0];
    EXPECT_THAT(status.error_message(), HasSubstr(words)) << pieces[0];
  };
  constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;
  expect({"chunk: '12345678'", "chunk: '9'", "chunk: '0'"}, kInvalid,
         "has 9 bytes, expected at most 8");
  expect({"metadata { bytes: 9 }", "chunk: '1'"}, kInvalid, "has 9 bytes");
  expect({"metadata { bytes: 3 }", "chunk: '1'"}, kInvalid, "has 1 bytes, expected 3");
  expect({"chunk: '1'", "metadata {}"}, kInvalid, "metadata is not the first message");
  expect({"metadata { id: 'x' }"}, kInvalid, "64 lower-case");
  expect({"metadata { id: '" + std::string(64, '0') + "' }", "chunk: '1'"},
         grpc::StatusCode::DATA_LOSS, "SHA-256");
  expect({""}, kInvalid, "part is not set");
  expect({"metadata {}"}, kInvalid, "has no bytes");
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
