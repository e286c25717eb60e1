// What clients see of an error.
#include "service/grpc/status.h"
#include "binocle/busy_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "service/common/text.h"
#include "tests/service/grpc/testing.h"

namespace binocle {
namespace {

using testing::DetailOf;

TEST(Status, EveryCodeIsItsNumber) {
  for (int code = 1; code <= 16; ++code)
    EXPECT_EQ(StatusOf(Error(static_cast<Code>(code), "a")).error_code(), code);
}

TEST(Status, AnErrorWithoutDetailsHasNone) {
  const grpc::Status status = StatusOf(Error(Code::kNotFound, "a: b"));
  EXPECT_EQ(status.error_message(), "a: b");
  EXPECT_EQ(status.error_details(), "");
}

TEST(Status, AnOptionIsAFieldOfTheRequest) {
  const auto field = [](const char* option, const char* message) {
    return DetailOf<google::rpc::BadRequest>(
               StatusOf(Error(Code::kInvalidArgument, message, option)))
        .field_violations(0);
  };
  EXPECT_EQ(field("temperature", "temperature is -1").field(), "sampling.temperature");
  EXPECT_EQ(field("temperature", "temperature is -1").description(), "is -1");
  EXPECT_EQ(field("var", "var.p is 2").field(), "interventions.var.p");
  EXPECT_EQ(field("var", "var.p is 2").description(), "is 2");
  EXPECT_EQ(field("modulate", "modulate and pai …").field(), "interventions.modulate");
  EXPECT_EQ(field("logprobs", "logprobs is 9").field(), "logprobs");
  EXPECT_EQ(field("blocks", "blocks is 9").field(), "faithfulness.blocks");
  EXPECT_EQ(field("layers", "layers is 9-9").field(), "layers");
}

TEST(Status, AMessageThatBeginsWithAFieldIsAboutIt) {
  const auto details = DetailOf<google::rpc::BadRequest>(
      StatusOf(Error(Code::kInvalidArgument, "messages[0].images[1]: is no picture: a: b")));
  ASSERT_EQ(details.field_violations_size(), 1);
  EXPECT_EQ(details.field_violations(0).field(), "messages[0].images[1]");
  EXPECT_EQ(details.field_violations(0).description(), "is no picture: a: b");
  for (const char* other : {"model.safetensors: a", "imagesque: a", "images[0] a", "prompt"})
    EXPECT_EQ(StatusOf(Error(Code::kInvalidArgument, other)).error_details(), "") << other;
}

TEST(Status, WhatMayPassHasARetryDelay) {
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(
                StatusOf(Error(Code::kResourceExhausted, "images[0]: is too large")))
                .retry_delay()
                .seconds(),
            0);
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(StatusOf(BusyError("a"))).retry_delay().seconds(), 1);
  const grpc::Status status =
      StatusOf(Error(Code::kUnavailable, "a"),
               {.violations = {}, .retry = std::chrono::milliseconds(2500), .reason = "DRAINING"});
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(status).retry_delay().seconds(), 2);
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(status).retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).reason(), "DRAINING");
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).domain(), "binocle");
}

TEST(Status, WhatNeverFitsHasNone) {
  EXPECT_EQ(StatusOf(Error(Code::kResourceExhausted, "a")).error_details(), "");
  EXPECT_EQ(StatusOfReply(2, 1).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(StatusOfReply(2, 1).error_details(), "");
  EXPECT_EQ(TooManyMessages(8).error_details(), "");
}

TEST(Status, TextsAreUtf8AndShort) {
  const grpc::Status status =
      StatusOf(Error(Code::kInvalidArgument, "stop \xff" + std::string(9000, 'a'), "stop"));
  EXPECT_LE(status.error_message().size(), 1024U);
  EXPECT_LE(status.error_details().size(), 4096U);
  EXPECT_EQ(ValidUtf8(status.error_message()), status.error_message());
}

TEST(Status, NoExceptionGetsThrough) {
  EXPECT_TRUE(Guarded([] {}).ok());
  EXPECT_EQ(Guarded([] { throw Error(Code::kAborted, "a"); }).error_code(),
            grpc::StatusCode::ABORTED);
  EXPECT_EQ(Guarded([] { throw std::bad_alloc(); }).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Guarded([] { throw std::runtime_error("a"); }).error_code(),
            grpc::StatusCode::INTERNAL);
  EXPECT_EQ(Guarded([] { throw 1; }).error_code(), grpc::StatusCode::INTERNAL);
}

TEST(ValidUtf8, ReplacesWhatIsNoCharacter) {
  const std::string good = "a é € 𝄞";
  EXPECT_EQ(ValidUtf8(good), good);
  EXPECT_EQ(ValidUtf8("a\xC3"), "a\xEF\xBF\xBD");
  EXPECT_EQ(ValidUtf8("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80").size(), 9U);
  EXPECT_EQ(ValidUtf8("\xF5"), "\xEF\xBF\xBD");
  EXPECT_EQ(ValidUtf8("aé", 2), "a");
}

}  // namespace
}  // namespace binocle
