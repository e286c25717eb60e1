// How the server treats clients: events in one piece, those who leave, stall, send too much or too slowly, and shutting down.
#include <gtest/gtest.h>

#include <cstdio>
#include <future>
#include <thread>

#include "service/http/body_room.h"
#include "service/http/event_queue.h"
#include "service/http/http_server.h"
#include "tests/http/bodies.h"
#include "tests/http/fake_backend.h"
#include "tests/http/raw_client.h"

namespace binocle::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ChatBody;
using testing::ChatText;
using testing::EventsOf;
using testing::Exchange1;
using testing::FakeBackend;
using testing::GetText;
using testing::PostText;
using testing::RawClient;
using testing::RawReply;
using testing::Script;
using testing::Served;

// Speaks until somebody cancels.
Script Endless(const Request&) {
  return {.words = std::vector<std::string>(100'000, "word "), .between = milliseconds(5)};
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

// How many whole chunks a piece is made of; -1: one is cut.
int WholeChunks(const std::string& piece) {
  int chunks = 0;
  for (size_t at = 0; at < piece.size(); ++chunks) {
    const size_t end = piece.find("\r\n", at);
    if (end == std::string::npos) return -1;
    const size_t next = end + 2 + std::stoul(piece.substr(at, end - at), nullptr, 16) + 2;
    if (next > piece.size() || piece.compare(next - 2, 2, "\r\n") != 0) return -1;
    at = next;
  }
  return chunks;
}

TEST(HttpStreams, EveryEventIsOneWrite) {
  FakeBackend backend([](const Request&) {
    return Script{
        .words = {"a", "b", "c", "d"}, .before = milliseconds(40), .between = milliseconds(40)};
  });
  const HttpServer server(Served(backend), {}, {});
  RawClient client(server.port());
  client.Send(ChatText(true));
  std::string bytes = client.Receive();
  EXPECT_TRUE(bytes.starts_with("HTTP/1.1 200 OK\r\n")) << bytes;
  // Words are 40 ms apart, so nearly every piece is one of them; where this thread was late it is two. With a write for the length and one
  // for the text, pieces would end between them.
  std::string first = bytes.substr(bytes.find("\r\n\r\n") + 4);
  EXPECT_GE(WholeChunks(first), 0) << first;
  while (!bytes.ends_with("\r\n0\r\n\r\n")) {
    const std::string piece = client.Receive();
    ASSERT_FALSE(piece.empty());
    EXPECT_GT(WholeChunks(piece), 0) << piece;
    bytes += piece;
  }
}

TEST(HttpStreams, AClientOfHttp10GetsNoChunks) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  RawClient client(server.port());
  std::string request = ChatText(true);
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  client.Send(request);
  const std::string reply = client.ReadAll();
  const size_t body = reply.find("\r\n\r\n") + 4;
  EXPECT_EQ(reply.find("Transfer-Encoding"), std::string::npos);
  EXPECT_LT(reply.find("Connection: close\r\n"), body);
  EXPECT_EQ(reply.substr(body, 6), "data: ");
  EXPECT_TRUE(reply.ends_with("data: [DONE]\n\n")) << reply;
}

TEST(HttpStreams, AClientThatLeavesCancels) {
  FakeBackend backend(Endless);
  const HttpServer server(Served(backend), {}, {});
  {
    RawClient client(server.port());
    client.Send(ChatText(true));
    EXPECT_FALSE(client.Receive().empty());
  }
  EXPECT_TRUE(Eventually([&] { return backend.cancelled == 1; }));
  EXPECT_TRUE(Eventually([&] { return server.stats().active == 0; }));
  EXPECT_EQ(server.stats().cancelled, 1);
}

TEST(HttpStreams, AClientThatLeavesBeforeTheFirstWordCancels) {
  FakeBackend backend(
      [](const Request&) { return Script{.words = {"late"}, .before = seconds(60)}; });
  const HttpServer server(Served(backend), {}, {});
  for (const bool stream : {true, false}) {
    RawClient client(server.port());
    client.Send(ChatText(stream));
    EXPECT_TRUE(Eventually([&] { return server.stats().active == 1; }));
    client.Close();
    EXPECT_TRUE(Eventually([&] { return server.stats().active == 0; }));
  }
  EXPECT_TRUE(Eventually([&] { return backend.cancelled == 2; }));
  EXPECT_EQ(server.stats().cancelled, 2);
}

TEST(HttpStreams, AClientThatDoesNotReadIsDropped) {
  // The kernel's buffers take some megabytes; there are more.
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(6000, std::string(10'000, 'x')),
                  .between = milliseconds(1)};
  });
  const HttpServer server(
      Served(backend),
      {.write_timeout = milliseconds(300), .waiting = {.each = int64_t{1} << 40, .together = 0}},
      {});
  RawClient client(server.port(), 4096);
  client.Send(ChatText(true));
  EXPECT_TRUE(Eventually([&] { return backend.cancelled == 1; }));
  EXPECT_TRUE(Eventually([&] { return server.stats().connections == 0; }));
}

TEST(HttpStreams, AClientThatReadsTooSlowlyIsTold) {
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(20'000, std::string(2000, 'x')),
                  .between = milliseconds(0)};
  });
  const HttpServer server(Served(backend), {.waiting = {.each = 100'000, .together = 100'000}}, {});
  RawClient client(server.port(), 4096);
  client.Send(ChatText(true));
  EXPECT_TRUE(Eventually(
      [&] { return backend.finished + backend.cancelled == 1 || server.stats().slow == 1; }));
  std::this_thread::sleep_for(milliseconds(200));
  const RawReply reply = client.ReadReply();
  EXPECT_TRUE(reply.whole);
  const Json error = Json::parse(EventsOf(reply.body).back())["error"];
  EXPECT_EQ(error["message"], "the client reads too slowly");
  EXPECT_EQ(error["type"], "server_error");
  EXPECT_EQ(server.stats().slow, 1);
}

// More than may wait of each stream, faster than it is written.
TEST(HttpStreams, AClientThatReadsGetsABurstWhole) {
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(2000, std::string(2000, 'x')),
                  .between = milliseconds(0)};
  });
  const HttpServer server(Served(backend), {.waiting = {.each = 10'000, .together = 16 << 20}}, {});
  const RawReply reply = Exchange1(server.port(), ChatText(true));
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n")) << EventsOf(reply.body).back();
  EXPECT_GT(reply.body.size(), size_t{4'000'000});
}

// The kernel would take megabytes and tell of room when a third of them has gone.
TEST(HttpStreams, AClientThatReadsSlowlyAndSteadilyIsServed) {
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(6000, std::string(2000, 'x'))};
  });
  const HttpServer server(
      Served(backend), {.write_timeout = milliseconds(1500), .waiting = {.each = int64_t{1} << 30}},
      {});
  RawClient client(server.port(), 32768);
  client.Send(ChatText(true));
  size_t bytes = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::steady_clock::now() - start; };
  while (elapsed() < seconds(5)) {
    const std::string piece = client.Receive();
    ASSERT_FALSE(piece.empty()) << "cut after " << bytes << " bytes";
    bytes += piece.size();
    // 96 KiB a second: a third of what the kernel would take lasts for longer than the limit.
    std::this_thread::sleep_until(start + milliseconds(bytes * 1000 / (96 << 10)));
  }
  EXPECT_EQ(server.stats().active, 1);
}

// How many deltas come out of a queue before what follows them.
int DeltasOf(EventQueue& queue, std::optional<ChatEvent>& next) {
  int deltas = 0;
  while ((next = queue.Pop(milliseconds(0))) && std::holds_alternative<DeltaEvent>(*next)) ++deltas;
  return deltas;
}

TEST(EventQueue, DropsWhatIsTooMuchAndSaysSo) {
  const auto all = std::make_shared<WaitingBytes>();
  EventQueue queue({.each = 1000, .together = 2000}, all);
  for (int i = 0; i < 100; ++i)
    queue.Push(DeltaEvent{.answer = 0, .text = "text", .token_ids = {}, .logprobs = {}});
  queue.Push(Response{});
  std::optional<ChatEvent> event;
  const int deltas = DeltasOf(queue, event);
  EXPECT_GT(deltas, 0);
  EXPECT_LT(deltas, 100);
  ASSERT_TRUE(event && std::holds_alternative<Error>(*event));
  EXPECT_EQ(std::get<Error>(*event).code(), Code::kCancelled);
  EXPECT_TRUE(queue.overflowed());
  EXPECT_FALSE(queue.Pop(milliseconds(0)));
  EXPECT_EQ(*all, 0);
}

TEST(EventQueue, OneMayHoldWhatOthersDoNot) {
  const auto all = std::make_shared<WaitingBytes>();
  const WaitingLimits limits{.each = 1000, .together = 1'000'000};
  const auto push = [](EventQueue& queue, int count) {
    for (int i = 0; i < count; ++i)
      queue.Push(DeltaEvent{.answer = 0, .text = "text", .token_ids = {}, .logprobs = {}});
    queue.Push(Response{});
  };
  EventQueue queue(limits, all);
  push(queue, 100);
  {
    EventQueue greedy(limits, all), modest(limits, all);
    push(greedy, 100'000);
    push(modest, 1);
    std::optional<ChatEvent> end;
    EXPECT_EQ(DeltasOf(modest, end), 1) << "each has its own part";
    EXPECT_TRUE(greedy.overflowed());
  }
  std::optional<ChatEvent> end;
  EXPECT_EQ(DeltasOf(queue, end), 100);
  EXPECT_TRUE(end && std::holds_alternative<Response>(*end));
  EXPECT_EQ(*all, 0);
}

TEST(HttpConnections, ServeManyRequests) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  RawClient client(server.port());
  for (int i = 0; i < 50; ++i) {
    client.Send(ChatText(i % 2 == 0));
    const RawReply reply = client.ReadReply();
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.whole);
  }
  // A bad body is read, so the connection goes on.
  client.Send(PostText("/v1/chat/completions", "nonsense"));
  EXPECT_EQ(client.ReadReply().status, 400);
  client.Send(GetText("/healthz"));
  const RawReply health = client.ReadReply();
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.headers.at("keep-alive"), "timeout=30");
  client.Send(GetText("/healthz", "Connection: close\r\n"));
  EXPECT_EQ(client.ReadReply().headers.at("connection"), "close");
  EXPECT_EQ(client.ReadAll(), "");
}

TEST(HttpConnections, PipelinedRequestsAreAnsweredInTurn) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  RawClient client(server.port());
  client.Send(ChatText(false) + GetText("/healthz") + ChatText(true));
  EXPECT_EQ(client.ReadReply().status, 200);
  EXPECT_EQ(client.ReadReply().body, R"({"status":"ok"})");
  EXPECT_TRUE(client.ReadReply().whole);
}

TEST(HttpConnections, BodiesOverTheLimit) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.max_body_bytes = 1000}, {});
  const std::string head =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  // By its length, before a byte of it is read; the client may go on sending.
  const RawReply known =
      Exchange1(server.port(), PostText("/v1/chat/completions", std::string(4 << 20, ' ')));
  EXPECT_EQ(known.status, 413);
  EXPECT_EQ(known.headers.at("connection"), "close");
  EXPECT_EQ(Json::parse(known.body)["error"]["message"],
            "the body has more than 1000 bytes, the limit");
  // Chunks, whose length nobody told.
  RawClient chunked(server.port());
  chunked.Send(head + "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20; ++i) chunked.Send("64\r\n" + std::string(100, ' ') + "\r\n");
  EXPECT_EQ(chunked.ReadReply().status, 413);
  // Asked for first.
  const RawReply asked =
      Exchange1(server.port(), head + "Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n");
  EXPECT_EQ(asked.status, 413);
  EXPECT_EQ(Json::parse(asked.body)["error"]["type"], "invalid_request_error");
  const RawReply endless =
      Exchange1(server.port(), head + "Content-Length: 99999999999999999999\r\n\r\n{}");
  EXPECT_EQ(endless.status, 413);
}

TEST(HttpConnections, BodiesHaveARoomTogether) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.max_bodies_bytes = 2 << 20}, {});
  Json body = ChatBody();
  body["model"] = "fake";
  body["user"] = std::string(700'000, 'x');
  const std::string large = PostText("/v1/chat/completions", body.dump());
  std::unique_ptr<RawClient> first;
  RawReply second;
  ASSERT_TRUE(Eventually([&] {
    // Which of two that are sent at once comes first is not said.
    first = std::make_unique<RawClient>(server.port());
    first->Send(large.substr(0, large.size() - 1));
    std::this_thread::sleep_for(milliseconds(100));
    second = Exchange1(server.port(), large);
    return second.status == 429;
  }));
  EXPECT_EQ(second.headers.at("retry-after"), "1");
  EXPECT_EQ(Json::parse(second.body)["error"]["message"],
            "bodies: as many bytes are on their way in as may");
  EXPECT_EQ(Exchange1(server.port(), ChatText(false)).status, 200) << "little ones always fit";
  first->Send(large.substr(large.size() - 1));
  EXPECT_EQ(first->ReadReply().status, 200);
  // A reply may be here before its body's room is given back.
  const auto fits = [&](const std::string& request) {
    return Eventually([&] { return Exchange1(server.port(), request).status == 200; });
  };
  EXPECT_TRUE(fits(large)) << "the room was not given back";
  // In chunks it is moved while it grows.
  std::string chunks =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  const std::string text = body.dump();
  for (size_t at = 0; at < text.size(); at += 4096) {
    const std::string piece = text.substr(at, 4096);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    chunks += size + piece + "\r\n";
  }
  EXPECT_TRUE(fits(chunks + "0\r\n\r\n"));
}

TEST(BodyRoom, WhoWaitsIsAdmittedInTurn) {
  BodyRoom room(100);
  BodyRoom::Share first = room.Await(1000);  // all of it
  BodyRoom::Share none;
  EXPECT_FALSE(room.TryTake(1, none));
  auto second = std::async(std::launch::async, [&] { return room.Await(60); });
  EXPECT_EQ(second.wait_for(milliseconds(20)), std::future_status::timeout);
  { const BodyRoom::Share over = std::move(first); }
  EXPECT_EQ(second.wait_for(seconds(10)), std::future_status::ready);
  const BodyRoom::Share held = second.get();
  EXPECT_FALSE(room.TryTake(41, none));
  EXPECT_TRUE(room.TryTake(40, none));
}

// What the server says to `request`, and that it closes the connection behind it.
void ExpectRefusedAndClosed(int port, const std::string& request, const std::string& message) {
  RawClient client(port);
  client.Send(request);
  const RawReply reply = client.ReadReply();
  EXPECT_EQ(reply.status, 400) << request;
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(reply.headers.at("x-request-id").starts_with("req_"));
  const Json error = Json::parse(reply.body)["error"];
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_NE(error["message"].get<std::string>().find(message), std::string::npos) << reply.body;
  EXPECT_EQ(client.ReadAll(), "") << request;
}

TEST(HttpConnections, HeadsThatDeceiveAreRefusedAndEnd) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const std::string line = "POST /v1/chat/completions HTTP/1.1\r\n";
  const std::string head = line + "Host: x\r\nContent-Type: application/json\r\n";
  const std::string more = GetText("/healthz");  // which is part of the body to somebody
  for (const char* length : {"-3", "abc", "+5", ""})
    ExpectRefusedAndClosed(server.port(), head + "Content-Length: " + length + "\r\n\r\n{}" + more,
                           "Content-Length is");
  ExpectRefusedAndClosed(server.port(),
                         head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + more,
                         "Content-Length is \"2\" and again \"3\"");
  ExpectRefusedAndClosed(server.port(), head + "Expect: 100-continue\r\nContent-Length: -3\r\n\r\n",
                         "digits");
  ExpectRefusedAndClosed(server.port(), "GET /healthz HTTP/1.1\r\n\r\n" + more, "Host is missing");
  ExpectRefusedAndClosed(server.port(), GetText("/healthz", "Host: y\r\n") + more,
                         "Host is there twice");
  EXPECT_EQ(server.stats().active, 0) << "draining counts on it";
}

TEST(HttpConnections, ChunksThatAreNoneAreRefusedAndEnd) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const std::string head =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
      "application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* size : {"-5", "-1", "x", "0x2", "2y"})
    ExpectRefusedAndClosed(server.port(), head + size + "\r\n{}\r\n0\r\n\r\n", "a chunk's size is");
  ExpectRefusedAndClosed(server.port(), head + "1\r\n{}\r\n0\r\n\r\n", "does not end where");
}

TEST(HttpConnections, AbsoluteTargetsAreAccepted) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  RawClient client(server.port());
  const auto status = [&](const std::string& target) {
    client.Send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return client.ReadReply().status;
  };
  EXPECT_EQ(status("http://x/v1/models"), 200);
  EXPECT_EQ(status("HTTP://x:80/v1/models/org%2Fother?a=b"), 200);
  EXPECT_EQ(status("http://x"), 200);
  EXPECT_EQ(status("http://x/v1/none"), 404);
  client.Send("GET http://user@x/v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.ReadReply().status, 400);
}

TEST(HttpConnections, ChunkedBodiesAreRead) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  Json body = ChatBody();
  body["model"] = "fake";
  const std::string text = body.dump();
  std::string request =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
      "application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char c : text) request += "1\r\n" + std::string(1, c) + "\r\n";
  EXPECT_EQ(Exchange1(server.port(), request + "0\r\n\r\n").status, 200);
}

TEST(HttpConnections, SlowHeadsEnd) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.head_timeout = milliseconds(300)}, {});
  RawClient client(server.port());
  const auto start = std::chrono::steady_clock::now();
  // A byte every 20 ms: each comes in time, the head does not.
  client.Send("GET /healthz HTTP/1.1\r\nX: ");
  while (client.Send("x") && std::chrono::steady_clock::now() - start < seconds(10))
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
  EXPECT_TRUE(Eventually([&] { return server.stats().connections == 0; }));
}

TEST(HttpConnections, SlowBodiesEnd) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.body_timeout = milliseconds(300)}, {});
  RawClient client(server.port());
  client.Send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
      "application/json\r\nContent-Length: 1000\r\n\r\n{");
  const RawReply reply = client.ReadReply();
  EXPECT_EQ(reply.status, 408);
  EXPECT_NE(reply.body.find("the body comes too slowly"), std::string::npos);
}

// A body that has room holds it against others.
TEST(HttpConnections, WhatCameQuicklyBuysNoTimeToBeSlow) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.body_timeout = milliseconds(300)}, {});
  RawClient client(server.port());
  client.Send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
      "application/json\r\nContent-Length: 4000000\r\n\r\n" +
      std::string(2'000'000, ' '));
  const auto start = std::chrono::steady_clock::now();
  while (server.stats().active > 0 && std::chrono::steady_clock::now() - start < seconds(10)) {
    client.Send(" ");
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
  EXPECT_EQ(client.ReadReply().status, 408);
}

TEST(HttpConnections, WholeAnswersHaveARoomTogether) {
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(1000, std::string(10'000, 'x'))};
  });
  // Of 10 MB each; twice as much while one is made.
  const HttpServer server(Served(backend),
                          {.waiting = {.each = 1000, .together = int64_t{25} << 20}}, {});
  auto first = std::make_unique<RawClient>(server.port(), 4096);
  first->Send(ChatText(false));
  RawReply second;
  EXPECT_TRUE(Eventually([&] {
    second = Exchange1(server.port(), ChatText(false));
    return second.status != 200;
  }));
  EXPECT_EQ(second.status, 429);
  EXPECT_EQ(second.headers.at("retry-after"), "1");
  EXPECT_NE(second.body.find("replies: as many bytes wait"), std::string::npos);
  first.reset();
  EXPECT_TRUE(Eventually([&] { return Exchange1(server.port(), ChatText(false)).status == 200; }))
      << "the room was not given back";
}

TEST(HttpConnections, IdleOnesAndLongHeadsEnd) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.idle_timeout = milliseconds(200)}, {});
  RawClient idle(server.port());
  EXPECT_EQ(idle.ReadAll(), "");
  RawClient long_head(server.port());
  std::string head = "GET /healthz HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i)
    head += "X-Header-" + std::to_string(i) + ": " + std::string(50, 'x') + "\r\n";
  long_head.Send(head + "\r\n");
  EXPECT_EQ(long_head.ReadReply().status, 400);
}

TEST(HttpConnections, AreNotMoreThanTheLimit) {
  FakeBackend backend(Endless);
  const HttpServer server(Served(backend), {.max_connections = 2}, {});
  RawClient one(server.port()), two(server.port());
  one.Send(ChatText(true));
  two.Send(ChatText(true));
  EXPECT_TRUE(Eventually([&] { return server.stats().active == 2; }));
  // Four more may ask whether the server lives.
  std::vector<std::unique_ptr<RawClient>> late(4);
  for (auto& client : late) client = std::make_unique<RawClient>(server.port());
  EXPECT_TRUE(Eventually([&] { return server.stats().connections == 6; }));
  const auto start = std::chrono::steady_clock::now();
  RawClient three(server.port());
  const RawReply reply = three.ReadReply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.at("retry-after"), "1");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1000));
  EXPECT_EQ(server.stats().refused, 1);
  late.clear();
  one.Close();
  EXPECT_TRUE(Eventually([&] { return server.stats().connections == 1; }));
  EXPECT_EQ(Exchange1(server.port(), GetText("/healthz")).status, 200);
}

TEST(HttpConnections, NonsenseIsAnsweredInJsonAndEnds) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  for (const std::string& text : {std::string("\x16\x03\x01\x02\r\n\r\n"),
                                  std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
                                  "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n"}) {
    RawClient client(server.port());
    client.Send(text);
    const RawReply reply = client.ReadReply();
    EXPECT_GE(reply.status, 400) << text.substr(0, 40);
    EXPECT_TRUE(Json::parse(reply.body).contains("error"));
  }
}

// What comes before the end of a stream's last chunk, and that. The connection stays for another request, for as long as a head may take.
std::string ReadLastChunk(RawClient& client) {
  std::string bytes;
  while (!bytes.ends_with("\r\n0\r\n\r\n")) {
    const std::string piece = client.Receive();
    if (piece.empty()) break;
    bytes += piece;
  }
  return bytes;
}

TEST(HttpDrain, LetsRequestsFinishAndRefusesOthers) {
  FakeBackend backend([](const Request&) {
    return Script{.words = std::vector<std::string>(20, "word "), .between = milliseconds(30)};
  });
  HttpServer server(Served(backend), {}, {});
  RawClient streaming(server.port()), idle(server.port());
  streaming.Send(ChatText(true));
  std::string bytes = streaming.Receive();
  auto drained = std::async(std::launch::async, [&] { return server.Drain(seconds(20)); });
  EXPECT_TRUE(
      Eventually([&] { return Exchange1(server.port(), GetText("/readyz")).status == 503; }));
  const RawReply refused = Exchange1(server.port(), ChatText(false));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.count("retry-after"), 1U);
  EXPECT_EQ(refused.headers.at("connection"), "close");
  EXPECT_EQ(Exchange1(server.port(), GetText("/healthz")).status, 200);
  idle.Send(ChatText(false));
  EXPECT_EQ(idle.ReadReply().status, 503);
  bytes += ReadLastChunk(streaming);
  EXPECT_NE(bytes.find("data: [DONE]\n\n\r\n0\r\n\r\n"), std::string::npos);
  EXPECT_TRUE(drained.get());
  EXPECT_EQ(backend.finished, 1);
}

TEST(HttpDrain, HalfAHeadDoesNotKeepIt) {
  FakeBackend backend;
  HttpServer server(Served(backend), {}, {});
  RawClient half(server.port());
  half.Send("POST /v1/chat/completions HTTP/1.1\r\nHost: te");
  EXPECT_TRUE(Eventually([&] { return server.stats().connections == 1; }));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(server.Drain(seconds(20)));
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(6));  // a head may take 10 s
}

TEST(HttpDrain, CancelsWhatTakesTooLong) {
  FakeBackend backend(Endless);
  HttpServer server(Served(backend), {}, {});
  RawClient streaming(server.port()), waiting(server.port());
  streaming.Send(ChatText(true));
  std::string cut = streaming.Receive();
  waiting.Send(ChatText(false));
  EXPECT_TRUE(Eventually([&] { return backend.submitted == 2; }));
  EXPECT_FALSE(server.Drain(milliseconds(100)));
  EXPECT_EQ(server.stats().active, 0);
  cut += ReadLastChunk(streaming);
  EXPECT_NE(cut.find("\"code\":\"unavailable\"}}\n\n\r\n0\r\n\r\n"), std::string::npos);
  EXPECT_EQ(waiting.ReadReply().status, 503);
  EXPECT_TRUE(Eventually([&] { return backend.cancelled == 2; }));
}

}  // namespace
}  // namespace binocle::http
