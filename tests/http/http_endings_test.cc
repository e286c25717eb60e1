// How exchanges end: when a caller's place is free again, what log and metrics are told, and what becomes of heads and connections that the server will
// not have.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "service/http/http_server.h"
#include "service/http/json_body.h"
#include "tests/http/fake_backend.h"
#include "tests/http/raw_client.h"

namespace binocle::http {
namespace {

using std::chrono::milliseconds;
using testing::ChatText;
using testing::EventsOf;
using testing::Exchange1;
using testing::FakeBackend;
using testing::GetText;
using testing::RawClient;
using testing::RawReply;
using testing::Script;
using testing::Served;

constexpr char kKey[] = "Authorization: Bearer x\r\n";

// A key for one request at a time: how many are under way, and were at most.
class OneAtATime {
 public:
  HttpCallbacks Callbacks() {
    return {.authorize = [this](std::string_view) {
      most_ = std::max(most_.load(), ++held_);
      return Admission{.name = "one",
                       .lease = std::shared_ptr<void>(nullptr, [this](void*) { --held_; }),
                       .refusal = {}};
    }};
  }
  int64_t held() const { return held_; }
  int64_t most() const { return most_; }

 private:
  std::atomic<int64_t> held_ = 0, most_ = 0;
};

TEST(HttpEndings, WhoHasTheWholeReplyHasHisPlaceBack) {
  FakeBackend backend;
  OneAtATime key;
  const HttpServer server(Served(backend), {}, key.Callbacks());
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Exchange1(server.port(), ChatText(false, kKey)).status, 200);
    EXPECT_EQ(key.held(), 0) << i;
    RawClient client(server.port());
    client.Send(ChatText(true, kKey));
    std::string bytes;
    while (bytes.find("[DONE]") == std::string::npos) bytes += client.Receive();
    EXPECT_EQ(key.held(), 0) << i;
  }
  EXPECT_EQ(key.most(), 1);
}

TEST(HttpEndings, AStreamThatFailsIsNoSuccessInTheLog) {
  FakeBackend backend([](const Request&) {
    return Script{.words = {"a", "b"},
                  .fails_at_end = Error(Code::kDeadlineExceeded, "request: took too long")};
  });
  std::mutex mutex;
  std::vector<HttpLogEntry> log;
  std::string body;
  {
    HttpServer server(Served(backend), {}, {.log = [&](const HttpLogEntry& entry) {
                        const std::lock_guard lock(mutex);
                        log.push_back(entry);
                      }});
    const RawReply reply = Exchange1(server.port(), ChatText(true, kKey));
    EXPECT_EQ(reply.status, 200) << "it had been sent";
    body = reply.body;
  }
  const Json error = Json::parse(EventsOf(body).back())["error"];
  EXPECT_TRUE(error["param"].is_null()) << "the body is not at fault: " << error;
  ASSERT_EQ(log.size(), 1U);
  EXPECT_EQ(log[0].status, 504);
  EXPECT_FALSE(log[0].cut);
}

TEST(HttpEndings, WhoIsNotKnownIsToldHowToSaySo) {
  FakeBackend backend;
  HttpServer server(Served(backend), {}, {.authorize = [](std::string_view) -> Admission {
                      throw Error(Code::kUnauthenticated, "the key is not known");
                    }});
  const RawReply reply = Exchange1(server.port(), GetText("/v1/models"));
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
}

// Some of what httplib does with them: 416, and a regular expression that recurses once per byte.
TEST(HttpEndings, RangesAreNothingToUs) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  for (const std::string& range :
       {std::string("bytes=0-1"), std::string("bytes=5-3"), std::string("items=1-2"),
        "bytes=" + std::string(60'000, '1') + "-"}) {
    const RawReply reply = Exchange1(
        server.port(), GetText("/healthz", "A: b\r\nrange: " + range + "\r\nRange: x\r\nC: d\r\n"));
    EXPECT_EQ(reply.status, 200) << range.substr(0, 40);
  }
}

TEST(HttpEndings, AHeadWithoutItsEndIsNone) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.head_timeout = milliseconds(200)}, {});
  // A bare line feed, which looser rules take for the end, and what could then be a second request.
  for (const char* text :
       {"GET /v1/models HTTP/1.1\r\nX: y\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: "
        "3\r\nX: y\n\r\n53xyz\r\n{}"}) {
    RawClient client(server.port());
    client.Send(text);
    const RawReply reply = client.ReadReply();
    EXPECT_EQ(reply.status, 400) << text;
    EXPECT_EQ(reply.headers.at("connection"), "close");
  }
}

TEST(HttpEndings, HealthIsToldWhenOthersHaveAllConnections) {
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(100'000, "word "), .between = milliseconds(5)};
  });
  const HttpServer server(Served(backend), {.max_connections = 2}, {});
  RawClient one(server.port()), two(server.port());
  for (RawClient* client : {&one, &two}) {
    client->Send(ChatText(true, kKey));
    EXPECT_FALSE(client->Receive().empty());
  }
  const RawReply models = Exchange1(server.port(), GetText("/v1/models"));
  EXPECT_EQ(models.status, 503);
  EXPECT_EQ(models.headers.at("retry-after"), "1");
  for (const char* path : {"/healthz", "/readyz"}) {
    const RawReply reply = Exchange1(server.port(), GetText(path));
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_EQ(reply.headers.at("connection"), "close");
  }
  EXPECT_EQ(server.stats().refused, 1);
}

}  // namespace
}  // namespace binocle::http
