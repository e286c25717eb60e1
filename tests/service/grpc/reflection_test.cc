#include "service/grpc/reflection.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "tests/service/grpc/server_testing.h"

namespace binocle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Field `number`, a text, on the wire.
std::string Field(int number, const std::string& text) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         std::string(1, static_cast<char>(text.size())) + text;
}

std::string Answer(const std::string& request) {
  return AnswerReflection(request, {"a.Service", "b.Service"}).value_or("no request");
}

TEST(Reflection, ListsServicesAndGivesTheRequestBack) {
  const std::string request = Field(1, "host") + Field(7, "*");
  EXPECT_EQ(Answer(request),
            Field(1, "host") + Field(2, request) +
                Field(6, Field(1, Field(1, "a.Service")) + Field(1, Field(1, "b.Service"))));
}

TEST(Reflection, AFileComesWithWhatItNeeds) {
  for (const std::string& request :
       {Field(4, "binocle.v1.VisionLanguageService.Ask"), Field(4, "binocle.v1.AskRequest"),
        Field(3, "binocle/v1/vision_language_service.proto")}) {
    const std::string answer = Answer(request);
    EXPECT_THAT(answer, HasSubstr("binocle/v1/vision_language_service.proto"));
    EXPECT_THAT(answer, HasSubstr("AskRequest"));
  }
}

TEST(Reflection, WhatIsNotThereIsAnErrorInTheReply) {
  for (const std::string& request : {Field(4, "no.Such"), Field(3, "no.proto"), Field(6, "no.Type"),
                                     Field(5, Field(1, "binocle.v1.AskRequest") + "\x10\x05")}) {
    const std::string answer = Answer(request);
    EXPECT_THAT(answer, HasSubstr("there is no")) << request;
    EXPECT_THAT(answer, HasSubstr(std::string("\x08\x05"))) << "NOT_FOUND";
  }
  EXPECT_THAT(Answer(Field(5, Field(1, "binocle.v1.AskRequest") + "\x10\x05")),
              HasSubstr("there is no extension 5 of a type binocle.v1.AskRequest"));
  EXPECT_THAT(Answer(""), HasSubstr("asks for nothing"));
}

TEST(Reflection, ExtensionsOfATypeThatHasNone) {
  EXPECT_EQ(
      Answer(Field(6, "binocle.v1.AskRequest")),
      Field(2, Field(6, "binocle.v1.AskRequest")) + Field(5, Field(1, "binocle.v1.AskRequest")));
}

TEST(Reflection, WhatIsNoRequestIsRefused) {
  for (const std::string& wire : {std::string("\x3a\x05*"), std::string("\x7b\x7c"),
                                  std::string("\x3a"), std::string("\x3d\x01\x01\x01")})
    EXPECT_EQ(Answer(wire), "no request");
  EXPECT_THAT(Answer("\x3d\x01\x01\x01\x01"), HasSubstr("asks for nothing")) << "fixed32, unknown";
}

class ReflectionCallTest : public testing::ServerTest {
 protected:
  // The status of a call that sends these bytes.
  grpc::Status Send(const std::string& method, const std::string& bytes) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto wait = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const auto call = stub.PrepareCall(&context, method, &queue);
    call->StartCall(&context);
    wait();
    const grpc::Slice slice(bytes);
    call->Write(grpc::ByteBuffer(&slice, 1), &context);
    wait();
    grpc::ByteBuffer reply;
    call->Read(&reply, &context);
    wait();
    call->WritesDone(&context);
    wait();
    grpc::Status status;
    call->Finish(&status, &context);
    wait();
    queue.Shutdown();
    while (wait()) continue;
    return status;
  }
};

TEST_F(ReflectionCallTest, SpeaksBothVersionsAndRefusesLongRequests) {
  Start();
  for (const std::string version : {"v1alpha", "v1"}) {
    const std::string method =
        "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo";
    EXPECT_TRUE(Send(method, Field(7, "*")).ok());
    EXPECT_EQ(Send(method, std::string(5000, 'a')).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(Send(method, "\x7b\x7c").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_EQ(Send("/no.Such/Method", "a").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(Ask("say a").ok());
}

}  // namespace
}  // namespace binocle
