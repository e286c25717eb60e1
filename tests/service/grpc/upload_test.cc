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

// A PNG whose header tells these sides; its pixels are nobody's business here.
std::string Png(uint32_t width, uint32_t height) {
  const auto big_endian = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  const auto chunk = [&](const std::string& typed) {
    uint32_t crc = ~0U;
    for (const char c : typed) {
      crc ^= static_cast<uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320U : 0);
    }
    return big_endian(static_cast<uint32_t>(typed.size() - 4)) + typed + big_endian(~crc);
  };
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR" + big_endian(width) + big_endian(height) + std::string("\x08\x02\0\0\0", 5)) +
         chunk("IDAT") + chunk("IEND");
}

// In protobuf's text format.
std::string Chunk(const std::string& bytes) {
  v1::UploadImageRequest piece;
  piece.set_chunk(bytes);
  return piece.ShortDebugString();
}

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
  const std::string picture = Png(1, 1), id = Sha256Hex(picture);
  const std::string bytes = std::to_string(picture.size());
  ASSERT_TRUE(Upload({"metadata { bytes: " + bytes + " id: '" + id + "' }",
                      Chunk(picture.substr(0, 20)), Chunk(picture.substr(20))})
                  .ok());
  EXPECT_EQ(uploaded_.id(), id);
  EXPECT_EQ(std::to_string(uploaded_.bytes()), bytes);
  grpc::ClientContext context;
  v1::AskRequest request;
  request.set_prompt("say yes");
  request.add_images()->set_id(id);
  ASSERT_TRUE(stub_->Ask(&context, request, &answer_).ok());
  EXPECT_EQ(backend_->last().messages[0].images[0].bytes, picture);
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

TEST_F(UploadTest, WhatIsNoPictureGetsNoId) {
  GrpcServerOptions options;
  options.max_image_pixels = 100;
  Start(std::move(options));
  const auto expect = [&](const std::string& bytes, const char* words, grpc::StatusCode code) {
    const grpc::Status status = Upload({Chunk(bytes)});
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    const auto bad = DetailOf<google::rpc::BadRequest>(status);
    ASSERT_EQ(bad.field_violations_size(), 1) << status.error_message();
    EXPECT_EQ(bad.field_violations(0).field(), "chunk");
    EXPECT_THAT(bad.field_violations(0).description(), HasSubstr(words));
  };
  expect("%PDF-1.7 and more", "PDF", grpc::StatusCode::INVALID_ARGUMENT);
  expect("no picture at all", "expected", grpc::StatusCode::INVALID_ARGUMENT);
  expect(Png(1, 1).substr(0, 50), "", grpc::StatusCode::INVALID_ARGUMENT);
  expect(Png(11, 10), "11 x 10 pixels, the limit is 100", grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Upload({Chunk(Png(10, 10))}).ok());
  EXPECT_EQ(server_->images().entries, 1);
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

// Two hundred bytes may name hundreds of megabytes: they are not fetched for a request that has no place.
TEST_F(UploadTest, NothingIsFetchedForAFullQueue) {
  Start();
  const auto ask = [&] {
    grpc::ClientContext context;
    v1::AskResponse answer;
    const std::string id(64, 'a');
    return stub_->Ask(&context,
                      Parse<v1::AskRequest>(
                          "messages { role: ROLE_USER text: 'say a' images { id: '" + id + "' } }"),
                      &answer);
  };
  EXPECT_EQ(ask().error_code(), grpc::StatusCode::NOT_FOUND);
  backend_->full = true;
  EXPECT_EQ(ask().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace binocle
