// Who may call, and when: tokens, draining, health, reflection.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/service/grpc/server_testing.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::DetailOf;
using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ServerTest;
using testing::Soon;
using Clock = TokenList::Clock;

TEST(TokenList, ReadsTokensAndTheirLimits) {
  const TokenList list = TokenList::Parse(
      "# a comment\n\nsecret-one name=alice rpm=2 max_in_flight=3\r\n  secret-two\n", "tokens");
  EXPECT_EQ(list.size(), 2U);
  EXPECT_EQ(list.Admit("secret-one", {}).name, "alice");
  EXPECT_EQ(list.Admit("secret-two", {}).name, "token-4");
  EXPECT_EQ(list.Admit("secret-tw", {}).verdict, TokenList::Verdict::kUnknown);
}

TEST(TokenList, RefusesBadFilesWithoutShowingTokens) {
  const auto error = [](const char* text) {
    return ErrorOf([&] { TokenList::Parse(text, "tokens"); });
  };
  EXPECT_THAT(error(""), HasSubstr("tokens: has no token"));
  EXPECT_THAT(error("short"), HasSubstr("tokens:1: the token has 5 bytes"));
  EXPECT_THAT(error("secret-one\nsecret-one"), HasSubstr("tokens:2: the token was there before"));
  EXPECT_THAT(error("secret-one rpm=x"), HasSubstr("tokens:1: a limit"));
  EXPECT_THAT(error("secret-one rpm=0"), HasSubstr("tokens:1: a limit"));
  EXPECT_THAT(error("secret-one secret-two"), HasSubstr("tokens:1: after the token"));
  for (const char* text : {"short", "secret-one\nsecret-one", "secret-one secret-two"})
    EXPECT_THAT(error(text), Not(HasSubstr("secret")));
}

TEST(TokenList, LimitsRequestsAMinute) {
  const TokenList list = TokenList::Parse("secret-one rpm=2", "tokens");
  const Clock::time_point start = Clock::now();
  const auto verdict = [&](int seconds) {
    return list.Admit("secret-one", start + std::chrono::seconds(seconds));
  };
  EXPECT_EQ(verdict(0).verdict, TokenList::Verdict::kAdmitted);
  EXPECT_EQ(verdict(0).verdict, TokenList::Verdict::kAdmitted);
  EXPECT_EQ(verdict(0).verdict, TokenList::Verdict::kRate);
  EXPECT_EQ(verdict(0).retry, std::chrono::seconds(30));
  EXPECT_EQ(verdict(29).verdict, TokenList::Verdict::kRate);
  EXPECT_EQ(verdict(30).verdict, TokenList::Verdict::kAdmitted);
  EXPECT_EQ(verdict(31).verdict, TokenList::Verdict::kRate);
}

TEST(TokenList, LimitsRequestsAtATime) {
  const TokenList list = TokenList::Parse("secret-one max_in_flight=1", "tokens");
  auto first = list.Admit("secret-one", {});
  EXPECT_EQ(list.Admit("secret-one", {}).verdict, TokenList::Verdict::kInFlight);
  first.lease.reset();
  EXPECT_EQ(list.Admit("secret-one", {}).verdict, TokenList::Verdict::kAdmitted);
}

TEST(TokenList, ABearerTokenIsFoundInItsHeader) {
  EXPECT_EQ(BearerOf("Bearer abc"), "abc");
  EXPECT_EQ(BearerOf("bearer  abc"), "abc");
  EXPECT_FALSE(BearerOf("Basic abc"));
  EXPECT_FALSE(BearerOf("Bearer "));
  EXPECT_FALSE(BearerOf(""));
}

class AccessTest : public ServerTest {
 protected:
  // What grpc.health.v1 says of a service: 1 serving, 2 not serving. The messages have the shape of its own: a text, a number, in field 1.
  int Health(const std::string& service) {
    grpc::TemplatedGenericStub<v1::PartProperty, v1::FaithfulnessOptions> stub(channel_);
    grpc::ClientContext context;
    v1::PartProperty request;
    request.set_name(service);
    v1::FaithfulnessOptions response;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response,
                   [&](const grpc::Status& status) { done.set_value(status); });
    const grpc::Status status = done.get_future().get();
    return status.ok() ? response.blocks() : -status.error_code();
  }
};

// What Watch says, as it comes.
class HealthWatcher final
    : public grpc::ClientBidiReactor<v1::PartProperty, v1::FaithfulnessOptions> {
 public:
  HealthWatcher(const std::shared_ptr<grpc::Channel>& channel, const std::string& service)
      : stub_(channel) {
    request_.set_name(service);
    stub_.PrepareBidiStreamingCall(&context_, "/grpc.health.v1.Health/Watch", {}, this);
    StartWriteLast(&request_, {});
    StartRead(&response_);
    StartCall();
  }
  ~HealthWatcher() override {
    context_.TryCancel();
    ended_.get_future().wait();
  }
  HealthWatcher(const HealthWatcher&) = delete;
  HealthWatcher& operator=(const HealthWatcher&) = delete;

  bool Said(std::vector<int> statuses) {
    return Soon([&] {
      const std::lock_guard lock(mutex_);
      return said_ == statuses;
    });
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      const std::lock_guard lock(mutex_);
      said_.push_back(response_.blocks());
    }
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override { ended_.set_value(); }

 private:
  grpc::TemplatedGenericStub<v1::PartProperty, v1::FaithfulnessOptions> stub_;
  grpc::ClientContext context_;
  v1::PartProperty request_;
  v1::FaithfulnessOptions response_;
  std::mutex mutex_;
  std::vector<int> said_;
  std::promise<void> ended_;
};

TEST_F(AccessTest, WhoWatchesHealthIsToldOfDraining) {
  Start();
  HealthWatcher all(channel_, ""), one(channel_, "binocle.v1.ModelService"), none(channel_, "gone");
  EXPECT_TRUE(all.Said({1}));
  EXPECT_TRUE(one.Said({1}));
  EXPECT_TRUE(none.Said({3})) << "SERVICE_UNKNOWN";
  server_->Drain(std::chrono::milliseconds(1));
  EXPECT_TRUE(all.Said({1, 2}));
  EXPECT_TRUE(one.Said({1, 2}));
  server_->Stop();
}

TEST_F(AccessTest, TokensAreAskedForAndLimited) {
  GrpcServerOptions options;
  options.tokens = TokenList::Parse(
      "secret-one name=alice max_in_flight=1\nsecret-two name=bob rpm=1", "tokens");
  Start(std::move(options));
  EXPECT_EQ(Ask("say a").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Ask("say a", "secret-three").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Ask("say a", "secret-two").ok());
  const grpc::Status often = Ask("say a", "secret-two");
  EXPECT_EQ(often.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(often).reason(), "TOKEN_RATE_LIMIT");
  EXPECT_GT(DetailOf<google::rpc::RetryInfo>(often).retry_delay().seconds(), 50);

  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer secret-one");
  v1::GenerateRequest request;
  request.set_prompt("forever");
  const auto reader = stub_->Generate(&context, request);
  v1::GenerateResponse message;
  EXPECT_TRUE(reader->Read(&message));
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(Ask("say a", "secret-one")).reason(),
            "TOKEN_IN_FLIGHT_LIMIT");
  context.TryCancel();
  EXPECT_TRUE(Soon([&] { return server_->in_flight() == 0; }));
  EXPECT_TRUE(Ask("say a", "secret-one").ok());

  grpc::ClientContext info_context;
  v1::GetServerInfoResponse info;
  EXPECT_EQ(models_->GetServerInfo(&info_context, {}, &info).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Health(""), 1);
  // A call is recorded when gRPC lets go of it, which is after its client has the answer.
  ASSERT_TRUE(Soon([&] { return records().size() == 8; }));
  int named = 0;
  for (const CallRecord& record : records()) {
    EXPECT_THAT(record.token + record.message + record.request_id, Not(HasSubstr("secret")));
    named += record.token == "alice" || record.token == "bob";
  }
  EXPECT_EQ(named, 5);
}

TEST_F(AccessTest, WhoAsksOneAfterTheOtherIsNeverTwoAtATime) {
  GrpcServerOptions options;
  options.tokens = TokenList::Parse("secret-one max_in_flight=1", "tokens");
  Start(std::move(options));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Ask("say a", "secret-one").ok()) << i;
}

TEST_F(AccessTest, WhileDrainingOldRequestsEndAndNewOnesAreSentAway) {
  Start();
  EXPECT_EQ(Health(""), 1);
  EXPECT_EQ(Health("binocle.v1.VisionLanguageService"), 1);
  EXPECT_EQ(Health("inference.GRPCInferenceService"), 1);
  EXPECT_EQ(Health("gone"), -grpc::StatusCode::NOT_FOUND);
  grpc::Status old;
  v1::AskResponse answer;
  std::thread asking([&] {
    grpc::ClientContext context;
    v1::AskRequest request;
    request.set_prompt("count 300");
    old = stub_->Ask(&context, request, &answer);
  });
  EXPECT_TRUE(Soon([&] { return backend_->running == 1; }));
  EXPECT_FALSE(server_->Drain(std::chrono::milliseconds(1)));
  EXPECT_EQ(Health(""), 2);
  EXPECT_EQ(Health("binocle.v1.VisionLanguageService"), 2);
  const grpc::Status fresh = Ask("say a");
  EXPECT_EQ(fresh.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(fresh).retry_delay().seconds(), 2);
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(models_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_TRUE(info.draining());
  EXPECT_TRUE(server_->Drain(std::chrono::seconds(10)));
  asking.join();
  EXPECT_TRUE(old.ok()) << old.error_message();
  EXPECT_EQ(answer.answer().size(), 300U);
}

TEST_F(AccessTest, StopEndsWhatIsUnderWay) {
  Start();
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.set_prompt("forever");
  const auto reader = stub_->Generate(&context, request);
  v1::GenerateResponse message;
  EXPECT_TRUE(reader->Read(&message));
  server_->Stop();
  while (reader->Read(&message)) continue;
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_TRUE(Soon([&] { return backend_->cancelled == 1 && server_->in_flight() == 0; }));
  server_->Stop();
}

TEST_F(AccessTest, AServerMayGoBeforeItsModelsRequestsDo) {
  Start();
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.set_prompt("flood");
  const auto reader = stub_->Generate(&context, request);
  EXPECT_TRUE(Soon([&] { return backend_->running == 1; }));
  server_.reset();
  EXPECT_TRUE(Soon([&] { return backend_->running == 0; }));
}

// grpc.reflection.v1alpha: list_services is field 7 of a request.
TEST_F(AccessTest, ReflectionCanDescribeHealth) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  EXPECT_NE(pool->FindMethodByName("grpc.health.v1.Health.Check"), nullptr);
}

TEST_F(AccessTest, ReflectionListsTheServices) {
  Start();
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const auto wait = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(&context);
  ASSERT_TRUE(wait());
  const grpc::Slice slice(std::string("\x3a\x01*"));
  call->Write(grpc::ByteBuffer(&slice, 1), &context);
  ASSERT_TRUE(wait());
  grpc::ByteBuffer reply;
  call->Read(&reply, &context);
  ASSERT_TRUE(wait());
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(reply.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& part : slices)
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  for (const char* service : {"binocle.v1.VisionLanguageService", "binocle.v1.ModelService",
                              "inference.GRPCInferenceService", "grpc.health.v1.Health"})
    EXPECT_THAT(bytes, HasSubstr(service));
  context.TryCancel();
  queue.Shutdown();
  while (wait()) continue;
}

}  // namespace
}  // namespace binocle
