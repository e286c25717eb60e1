// Calls whose request never becomes whole, by a client that otherwise is a good one: it answers pings.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/service/grpc/server_testing.h"

namespace binocle {
namespace {

using testing::FakeBackend;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ServerTest;
using testing::Soon;

enum Frame : uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kWindow = 8 };
constexpr uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4;
const std::string kHeadOf100("\0\0\0\0\x64", 5), kEmptyMessage(5, '\0');
// INITIAL_WINDOW_SIZE: nothing may come.
const std::string kNoWindow("\0\x4\0\0\0\0", 6);
// All that there may be, of a call and beside what a connection has at first: nothing but TCP is in the way.
const std::string kWideWindow("\0\x4\x7f\xff\xff\xff", 6), kWiderConnection("\x7f\xff\0\0", 4);

std::string FrameOf(Frame type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string frame;
  for (const uint32_t byte : {size >> 16, size >> 8, size, uint32_t{type}, uint32_t{flags},
                              stream >> 24, stream >> 16, stream >> 8, stream})
    frame += static_cast<char>(byte);
  return frame + payload;
}

// HPACK without tables: literals of new names.
std::string HeadersOf(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string block;
  for (const auto& [name, value] : headers) {
    block += '\0';
    for (const std::string& text : {name, value}) block += static_cast<char>(text.size()) + text;
  }
  return block;
}

// HTTP/2 by hand, one call.
class HalfClient {
 public:
  // `settings` is the payload of the first frame.
  explicit HalfClient(int port, const std::string& settings = "")
      : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + FrameOf(kSettings, 0, 0, settings));
  }
  ~HalfClient() { close(socket_); }
  HalfClient(const HalfClient&) = delete;
  HalfClient& operator=(const HalfClient&) = delete;

  // The head of a message of 100 bytes, and `bytes` of them.
  void BeginCall(const std::string& path, size_t bytes) {
    Call(path, kHeadOf100 + std::string(bytes, '\0'));
  }
  void Call(const std::string& path, const std::string& data, uint8_t flags = 0) {
    Send(FrameOf(kHeaders, kEndHeaders, 1,
                 HeadersOf({{":method", "POST"},
                            {":scheme", "http"},
                            {":path", path},
                            {":authority", "test"},
                            {"content-type", "application/grpc"},
                            {"te", "trailers"}})) +
         FrameOf(kData, flags, 1, data));
  }

  // Answers pings until the server has ended the call.
  bool WaitForEnd(std::chrono::seconds patience = std::chrono::seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, 20) <= 0) continue;
      char bytes[4096];
      const ssize_t got = recv(socket_, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      buffer_.append(bytes, static_cast<size_t>(got));
      while (buffer_.size() >= 9 && buffer_.size() >= 9 + Length())
        if (TakeFrame()) return true;
    }
    return false;
  }
  void WidenConnection() { Send(FrameOf(kWindow, 0, 0, kWiderConnection)); }
  int pings() const { return pings_; }
  // Of the call, as they came, names and values among other bytes: gRPC's own client is not asked to write what it never would.
  const std::string& headers() const { return headers_; }

 private:
  size_t Length() const {
    const auto at = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(buffer_[i])); };
    return at(0) << 16 | at(1) << 8 | at(2);
  }
  // True: it is the call's end.
  bool TakeFrame() {
    const size_t length = Length();
    const char type = buffer_[3], flags = buffer_[4], stream = buffer_[8];
    const std::string payload = buffer_.substr(9, length);
    buffer_.erase(0, 9 + length);
    if (type == kSettings && (flags & kAck) == 0) Send(FrameOf(kSettings, kAck, 0, ""));
    if (type == kHeaders) headers_ += payload;
    if (type == kPing && (flags & kAck) == 0) {
      ++pings_;
      Send(FrameOf(kPing, kAck, 0, payload));
    }
    return stream == 1 && (type == kReset || (type == kHeaders && (flags & kEndStream) != 0));
  }
  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  const int socket_;
  std::string buffer_, headers_;
  int pings_ = 0;
};

class HalfSentTest : public ServerTest {
 protected:
  static GrpcServerOptions Impatient() {
    GrpcServerOptions options;
    options.stall_limit = std::chrono::milliseconds(400);
    options.keepalive.interval = std::chrono::milliseconds(100);
    return options;
  }
  void StopAndForget() {
    server_.reset();
    backend_ = std::make_shared<FakeBackend>();
    const std::lock_guard lock(mutex_);
    records_.clear();
  }
};

TEST_F(HalfSentTest, ACallEndsWhoseRequestDoesNotCome) {
  Start(Impatient());
  for (const char* method :
       {"/binocle.v1.VisionLanguageService/Ask", "/binocle.v1.VisionLanguageService/Generate",
        "/binocle.v1.ModelService/ListModels", "/inference.GRPCInferenceService/ModelInfer",
        "/inference.GRPCInferenceService/ServerLive"}) {
    HalfClient client(server_->port());
    client.BeginCall(method, 10);
    EXPECT_TRUE(client.WaitForEnd()) << method;
    EXPECT_GE(client.pings(), 1) << method;
  }
  ASSERT_TRUE(Soon([&] { return records().size() == 4; }));  // probes leave none
  for (const CallRecord& record : records()) {
    EXPECT_EQ(record.code, grpc::StatusCode::DEADLINE_EXCEEDED) << record.method;
    EXPECT_THAT(record.message, HasSubstr("has not come whole in time"));
    EXPECT_GE(record.duration, std::chrono::milliseconds(300));
  }
  EXPECT_TRUE(Ask("say a").ok());
}

TEST_F(HalfSentTest, ACallOfHealthEndsToo) {
  Start(Impatient());
  for (const char* method : {"Check", "Watch"}) {
    HalfClient client(server_->port());
    client.BeginCall(std::string("/grpc.health.v1.Health/") + method, 10);
    EXPECT_TRUE(client.WaitForEnd()) << method;
  }
}

TEST_F(HalfSentTest, AStreamOfReflectionEndsToo) {
  Start(Impatient());
  for (const char* version : {"v1", "v1alpha"}) {
    HalfClient client(server_->port());
    client.BeginCall(
        std::string("/grpc.reflection.") + version + ".ServerReflection/ServerReflectionInfo", 10);
    EXPECT_TRUE(client.WaitForEnd()) << version;
    EXPECT_GE(client.pings(), 1);
  }
}

// What comes behind a request would be kept for as long as the call lasts.
TEST_F(HalfSentTest, ARequestIsAllThatIsSent) {
  Start(Impatient());
  for (const char* method :
       {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
        "/binocle.v1.VisionLanguageService/Generate", "/binocle.v1.ModelService/ListModels"}) {
    HalfClient none(server_->port()), half(server_->port()), two(server_->port());
    none.Call(method, kEmptyMessage);
    half.Call(method, kEmptyMessage + kHeadOf100 + "ab");
    two.Call(method, kEmptyMessage + kEmptyMessage);
    for (HalfClient* client : {&none, &half, &two}) {
      EXPECT_TRUE(client->WaitForEnd()) << method;
      EXPECT_THAT(client->headers(), HasSubstr("expected one message and the end")) << method;
    }
    EXPECT_GE(none.pings(), 1) << method;
    EXPECT_GE(half.pings(), 1) << method;
  }
  HalfClient whole(server_->port());
  whole.Call("/grpc.health.v1.Health/Check", kEmptyMessage, kEndStream);
  EXPECT_TRUE(whole.WaitForEnd());
  EXPECT_THAT(whole.headers(), Not(HasSubstr("expected one message")));
}

// Whatever clients may stall: until its end has come a message is unpacked, and counts for no queue.
TEST_F(HalfSentTest, AMessageWaitsForItsEndForSecondsAlone) {
  GrpcServerOptions options = Impatient();
  options.stall_limit = std::chrono::seconds(10);
  Start(options);
  HalfClient client(server_->port());
  client.Call("/binocle.v1.VisionLanguageService/Ask", kEmptyMessage);
  EXPECT_TRUE(client.WaitForEnd(std::chrono::seconds(6)));
  EXPECT_THAT(client.headers(), HasSubstr("expected one message and the end"));
}

TEST_F(HalfSentTest, AnswersThatMayNotBeSentEndToo) {
  Start(Impatient());
  for (const char* method :
       {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
        "/binocle.v1.ModelService/ListModels", "/inference.GRPCInferenceService/ServerMetadata"}) {
    HalfClient client(server_->port(), kNoWindow);
    client.Call(method, kEmptyMessage, kEndStream);
    EXPECT_TRUE(client.WaitForEnd()) << method;
  }
  ASSERT_TRUE(Soon([&] { return records().size() == 2; }));
  for (const CallRecord& record : records())
    EXPECT_EQ(record.code, grpc::StatusCode::CANCELLED) << record.method;
}

// With the head of a message.
std::string RequestOf(const std::string& prompt) {
  v1::AskRequest request;
  request.set_prompt(prompt);
  const std::string bytes = request.SerializeAsString();
  std::string head(1, '\0');
  for (const int shift : {24, 16, 8, 0}) head += static_cast<char>(bytes.size() >> shift);
  return head + bytes;
}

TEST_F(HalfSentTest, LongAnswersHaveNoMoreTimeThanShortOnes) {
  Start(Impatient());
  for (const char* method : {"Ask", "Generate"}) {
    HalfClient client(server_->port(), kNoWindow);
    client.Call(std::string("/binocle.v1.VisionLanguageService/") + method,
                RequestOf("say " + std::string(15'000, 'a')), kEndStream);
    EXPECT_TRUE(client.WaitForEnd(std::chrono::seconds(2))) << method;
    EXPECT_GE(client.pings(), 1) << method;
  }
  ASSERT_TRUE(Soon([&] { return records().size() == 2; }));
  for (const CallRecord& record : records()) {
    EXPECT_EQ(record.code, grpc::StatusCode::CANCELLED) << record.method;
    EXPECT_THAT(record.message, HasSubstr("stopped reading")) << record.method;
  }
}

// No ping comes through either, and no word of the call's end.
TEST_F(HalfSentTest, AConnectionThatTakesNothingEnds) {
  // gRPC's own end would wait for a thread that looks at such a connection for ten seconds.
  grpc_init();
  constexpr int kMoreThanSystemsKeep = 16 << 20;
  for (const char* method : {"Ask", "Generate"}) {
    GrpcServerOptions options = Impatient();
    options.keepalive.interval = std::chrono::seconds(20);
    Start(std::move(options));
    HalfClient client(server_->port(), kWideWindow);
    client.WidenConnection();
    client.Call(std::string("/binocle.v1.VisionLanguageService/") + method,
                RequestOf("bytes " + std::to_string(kMoreThanSystemsKeep)), kEndStream);
    ASSERT_TRUE(Soon([&] { return records().size() == 1; })) << method;
    EXPECT_EQ(records()[0].code, grpc::StatusCode::CANCELLED) << method;
    StopAndForget();
  }
}

TEST_F(HalfSentTest, AnswersThatWaitForClientsHaveARoomTogether) {
  GrpcServerOptions options;
  options.waiting = {.each = 1000, .together = 10000};  // an answer says its text twice
  Start(std::move(options));
  const std::string prompt = "say " + std::string(3000, 'a');
  auto client = std::make_unique<HalfClient>(server_->port(), kNoWindow);
  client->Call("/binocle.v1.VisionLanguageService/Ask", RequestOf(prompt), kEndStream);
  grpc::Status status;
  EXPECT_TRUE(Soon([&] { return !(status = Ask(prompt)).ok(); }));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("replies: as many bytes wait"));
  EXPECT_TRUE(Ask("say a").ok()) << "little ones always fit";
  client.reset();
  EXPECT_TRUE(Soon([&] { return Ask(prompt).ok(); })) << "the room was not given back";
}

TEST_F(HalfSentTest, WhoDoesNotReadGivesWayToWhoDoes) {
  for (const char* method : {"Ask", "Generate"}) {
    GrpcServerOptions options;  // half a minute to read
    options.waiting = {.each = 1000, .together = 8000};
    Start(std::move(options));
    const std::string prompt = "say " + std::string(3000, 'a');
    HalfClient client(server_->port(), kNoWindow);
    client.Call(std::string("/binocle.v1.VisionLanguageService/") + method, RequestOf(prompt),
                kEndStream);
    ASSERT_TRUE(Soon([&] { return !backend_->last().messages.empty() && backend_->running == 0; }));
    // Of a second at first, in which it might have read.
    EXPECT_TRUE(Soon([&] { return Ask(prompt).ok(); })) << method;
    EXPECT_TRUE(client.WaitForEnd()) << method;
    EXPECT_TRUE(Soon([&] {
      for (const CallRecord& record : records())
        if (record.code == grpc::StatusCode::CANCELLED &&
            record.message.find("other replies need the room") != std::string::npos)
          return true;
      return false;
    })) << method;
    StopAndForget();
  }
}

TEST_F(HalfSentTest, ACallThatHasNotBegunDoesNotKeepTheServer) {
  Start();
  HalfClient client(server_->port());
  client.BeginCall("/binocle.v1.VisionLanguageService/Ask", 10);
  EXPECT_FALSE(client.WaitForEnd(std::chrono::seconds(1)));
  EXPECT_EQ(server_->in_flight(), 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(server_->Drain(std::chrono::seconds(20)));
  server_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(HalfSentTest, WhoMayNotCallIsToldBeforeHisRequestComes) {
  GrpcServerOptions options;
  options.tokens = TokenList::Parse("secret-one", "tokens");
  Start(std::move(options));
  HalfClient client(server_->port());
  client.BeginCall("/binocle.v1.VisionLanguageService/Ask", 10);
  EXPECT_TRUE(client.WaitForEnd(std::chrono::seconds(5)));
  ASSERT_TRUE(Soon([&] { return records().size() == 1; }));
  EXPECT_EQ(records()[0].code, grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace binocle
