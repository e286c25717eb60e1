// What the endpoints answer. How the server treats clients that misbehave is in http_connection_test.cc.
#include "service/http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "binocle/busy_error.h"
#include "tests/http/bodies.h"
#include "tests/http/fake_backend.h"
#include "tests/http/raw_client.h"

namespace binocle::http {
namespace {

using std::chrono::milliseconds;
using testing::ChatBody;
using testing::EventsOf;
using testing::Exchange1;
using testing::FakeBackend;
using testing::GetText;
using testing::ImagePart;
using testing::PostText;
using testing::RawClient;
using testing::RawReply;
using testing::Script;
using testing::Served;
using testing::TextPart;

std::string BodyOf(Json changes = Json::object()) {
  Json body = ChatBody();
  body["model"] = "fake";
  body.update(changes);
  return body.dump();
}

RawReply Chat(int port, const Json& changes = Json::object()) {
  return Exchange1(port, PostText("/v1/chat/completions", BodyOf(changes)));
}

std::string ErrorOf(const RawReply& reply) {
  return Json::parse(reply.body)["error"]["message"].get<std::string>();
}

TEST(HttpServer, AnswersAQuestion) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const RawReply reply = Chat(server.port());
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  EXPECT_TRUE(reply.headers.at("x-request-id").starts_with("req_"));
  const Json json = Json::parse(reply.body);
  EXPECT_EQ(json["choices"][0]["message"]["content"], "You asked: What is this? I see 0 pictures.");
  EXPECT_EQ(json["model"], "fake");
  EXPECT_EQ(json["system_fingerprint"], "fp_fake");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 5);
}

TEST(HttpServer, TakesPictures) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  Json body = ChatBody(Json::array({TextPart("Why?"), ImagePart()}));
  body["model"] = "fake";
  const RawReply reply = Exchange1(server.port(), PostText("/v1/chat/completions", body.dump()));
  EXPECT_EQ(Json::parse(reply.body)["choices"][0]["message"]["content"],
            "You asked: Why? I see 1 picture.");
  EXPECT_EQ(backend.last().messages.at(0).images.at(0).bytes, testing::SmallPng());
}

TEST(HttpServer, StreamsAnAnswer) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const RawReply reply =
      Chat(server.port(), {{"stream", true}, {"stream_options", {{"include_usage", true}}}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(reply.headers.at("transfer-encoding"), "chunked");
  EXPECT_TRUE(reply.whole);
  const std::vector<std::string> events = EventsOf(reply.body);
  ASSERT_EQ(events.size(), 1 + 9 + 3U);
  EXPECT_EQ(Json::parse(events[0])["choices"][0]["delta"]["role"], "assistant");
  std::string text;
  for (size_t i = 1; i <= 9; ++i)
    text += Json::parse(events[i])["choices"][0]["delta"]["content"].get<std::string>();
  EXPECT_EQ(text, "You asked: What is this? I see 0 pictures.");
  EXPECT_EQ(Json::parse(events[10])["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(Json::parse(events[11])["choices"], Json::array());
  EXPECT_EQ(Json::parse(events[11])["usage"]["completion_tokens"], 9);
  EXPECT_EQ(events[12], "[DONE]");
}

TEST(HttpServer, StreamsSeveralAnswers) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const RawReply reply = Chat(server.port(), {{"stream", true}, {"n", 2}, {"max_tokens", 2}});
  std::string texts[2], reasons[2];
  const std::vector<std::string> events = EventsOf(reply.body);
  EXPECT_EQ(events.back(), "[DONE]");
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const Json choice = Json::parse(event)["choices"][0];
    const auto index = choice["index"].get<size_t>();
    texts[index] += choice["delta"].value("content", "");
    if (!choice["finish_reason"].is_null()) reasons[index] = choice["finish_reason"];
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(texts[i], "You asked:");
    EXPECT_EQ(reasons[i], "length");
  }
}

TEST(HttpServer, LogprobsWithAndWithoutAStream) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const Json options = {{"logprobs", true}, {"top_logprobs", 1}, {"max_tokens", 2}};
  const Json whole = Json::parse(Chat(server.port(), options).body);
  Json streaming = options;
  streaming["stream"] = true;
  const std::vector<std::string> events = EventsOf(Chat(server.port(), streaming).body);
  const Json last = Json::parse(events[events.size() - 2]);
  EXPECT_EQ(last["choices"][0]["logprobs"], whole["choices"][0]["logprobs"]);
  EXPECT_EQ(whole["choices"][0]["logprobs"]["content"][1]["token"], "w2 ");
}

TEST(HttpServer, ErrorsBeforeTheFirstEventHaveAStatus) {
  const auto reply = [](Script script, bool stream) {
    FakeBackend backend([&](const Request&) { return script; });
    const HttpServer server(Served(backend), {}, {});
    return Chat(server.port(), {{"stream", stream}, {"max_completion_tokens", 7}});
  };
  for (const bool stream : {false, true}) {
    const RawReply large = reply(
        {.refused = Error(Code::kResourceExhausted, "request: needs more than there is")}, stream);
    EXPECT_EQ(large.status, 413);
    EXPECT_EQ(large.headers.count("retry-after"), 0);
    FakeBackend busy([](const Request&) -> Script { throw BusyError("the queue is full"); });
    const HttpServer server(Served(busy), {}, {});
    const RawReply full = Chat(server.port(), {{"stream", stream}});
    EXPECT_EQ(full.status, 429);
    EXPECT_EQ(full.headers.at("retry-after"), "1");
    EXPECT_EQ(ErrorOf(full), "the queue is full");
    const RawReply option =
        reply({.refused = Error(Code::kInvalidArgument, "max_new_tokens is 7", "max_new_tokens")},
              stream);
    EXPECT_EQ(option.status, 400);
    EXPECT_EQ(Json::parse(option.body)["error"]["param"], "max_completion_tokens");
    const RawReply picture =
        reply({.fails_at_start = Error(Code::kInvalidArgument,
                                       "messages[0].content[1].image_url.url: is no picture")},
              stream);
    EXPECT_EQ(picture.status, 400);
    EXPECT_EQ(Json::parse(picture.body)["error"]["param"], "messages[0].content[1].image_url.url");
    EXPECT_EQ(reply({.fails_at_start = Error(Code::kDeadlineExceeded, "too late")}, stream).status,
              504);
    EXPECT_EQ(reply({.fails_at_start = Error(Code::kInternal, "broken")}, stream).status, 500);
  }
}

TEST(HttpServer, AFailureInMidStreamIsAnEventAndTheEnd) {
  FakeBackend backend([](const Request&) {
    return Script{.words = {"One", " two"}, .fails_at_end = Error(Code::kInternal, "it broke")};
  });
  const HttpServer server(Served(backend), {}, {});
  const RawReply reply = Chat(server.port(), {{"stream", true}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.whole);
  const std::vector<std::string> events = EventsOf(reply.body);
  EXPECT_EQ(Json::parse(events.back())["error"]["message"], "it broke");
  EXPECT_EQ(Json::parse(events.back())["error"]["code"], "internal_error");
  EXPECT_EQ(Chat(server.port()).status, 500);
}

TEST(HttpServer, Models) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const Json list = Json::parse(Exchange1(server.port(), GetText("/v1/models")).body);
  EXPECT_EQ(list["data"].size(), 2U);
  EXPECT_EQ(list["data"][0]["id"], "fake");
  for (const char* path : {"/v1/models/fake", "/v1/models/org/other", "/v1/models/org%2Fother"})
    EXPECT_EQ(Exchange1(server.port(), GetText(path)).status, 200) << path;
  const RawReply none = Exchange1(server.port(), GetText("/v1/models/gpt-4"));
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(Json::parse(none.body)["error"]["code"], "model_not_found");
  const RawReply asked = Chat(server.port(), {{"model", "gpt-4"}});
  EXPECT_EQ(asked.status, 404);
  EXPECT_EQ(ErrorOf(asked), "model is gpt-4, expected one of: fake, org/other");
}

TEST(HttpServer, Embeddings) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const Json body = {{"model", "fake"}, {"input", Json::array({"four", ImagePart()})}};
  const RawReply reply = Exchange1(server.port(), PostText("/v1/embeddings", body.dump()));
  EXPECT_EQ(reply.status, 200);
  const Json json = Json::parse(reply.body);
  EXPECT_EQ(json["data"][0]["embedding"], (std::vector<double>{4, 0.5, -0.25}));
  EXPECT_EQ(json["data"][1]["embedding"][0], testing::SmallPng().size());
}

TEST(HttpServer, AnEmbeddingsErrorNamesItsInput) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const auto error = [&](const Json& input) {
    const Json body = {{"model", "fake"}, {"input", input}};
    return Json::parse(
        Exchange1(server.port(), PostText("/v1/embeddings", body.dump())).body)["error"];
  };
  EXPECT_EQ(error(" ")["param"], "input");
  EXPECT_EQ(error(Json::array({"four", " "}))["param"], "input[1]");
  EXPECT_EQ(error(Json::array({"four", " "}))["message"], "input[1]: is blank");
  EXPECT_EQ(error(Json::array({"four", TextPart(" ")}))["param"], "input[1].text");
  EXPECT_EQ(error(Json::array({"a", ImagePart("data:image/png;base64,AAAA")}))["param"],
            "input[1].image_url.url");
}

TEST(HttpServer, Explains) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  Json body = ChatBody(Json::array({ImagePart(), TextPart("Why?")}));
  body["model"] = "fake";
  const RawReply reply = Exchange1(server.port(), PostText("/explain", body.dump()));
  EXPECT_EQ(reply.status, 200) << reply.body;
  const Json json = Json::parse(reply.body);
  EXPECT_EQ(json["answer"], "You asked: Why? I see 1 picture.");
  EXPECT_EQ(json["rows"], 24);
  EXPECT_EQ(json["words"][1]["text"], "asked:");
  EXPECT_EQ(json["words"][1]["map"]["patches"][0].size(), 576U);
  EXPECT_EQ(json["pictures"][0]["width"], 192);
  EXPECT_EQ(DecodeBase64(json["pictures"][0]["rgb"].get<std::string>())->size(), 192 * 192 * 3U);
  EXPECT_EQ(Exchange1(server.port(), PostText("/explain", BodyOf())).status, 400);
}

TEST(HttpServer, AModelThatHasFailedIsNotReadyAndWhyIsTold) {
  FakeBackend backend;
  std::atomic<bool> failed = false;
  HttpServer server(Served(backend), {}, {.failure = [&]() -> std::optional<std::string> {
                      if (!failed) return std::nullopt;
                      return "the device is lost";
                    }});
  EXPECT_EQ(Exchange1(server.port(), GetText("/readyz")).status, 200);
  failed = true;
  const RawReply reply = Exchange1(server.port(), GetText("/readyz"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, R"({"status":"failed","error":"the device is lost"})");
  EXPECT_EQ(Exchange1(server.port(), GetText("/healthz")).status, 200);
}

TEST(HttpServer, HealthReadinessMetricsAndThePage) {
  FakeBackend backend;
  std::atomic<bool> ready = false;
  HttpServer server(Served(backend), {},
                    {.metrics = [] { return std::string("binocle_up 1\n"); },
                     .ready = [&] { return ready.load(); }});
  const int port = server.port();
  EXPECT_EQ(Exchange1(port, GetText("/healthz")).body, R"({"status":"ok"})");
  EXPECT_EQ(Exchange1(port, GetText("/readyz")).status, 503);
  ready = true;
  EXPECT_EQ(Exchange1(port, GetText("/readyz")).status, 200);
  const RawReply metrics = Exchange1(port, GetText("/metrics"));
  EXPECT_EQ(metrics.body, "binocle_up 1\n");
  EXPECT_TRUE(metrics.headers.at("content-type").starts_with("text/plain"));
  const RawReply page = Exchange1(port, GetText("/"));
  EXPECT_TRUE(page.headers.at("content-type").starts_with("text/html"));
  EXPECT_NE(page.body.find("<title>Binocle</title>"), std::string::npos);
  EXPECT_NE(page.headers.at("content-security-policy").find("default-src 'none'"),
            std::string::npos);
}

TEST(HttpServer, OtherPathsAndMethodsGetJson) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  for (const char* path : {"/v1/responses", "/v1/completions", "/v1", "/index.html", "/v1/models2",
                           "/v1/chat/completions/", "/%00", "/..%2f..%2fetc/passwd"}) {
    for (const std::string& request : {GetText(path), PostText(path, "{}")}) {
      const RawReply reply = Exchange1(server.port(), request);
      EXPECT_EQ(reply.status, 404) << path;
      EXPECT_EQ(Json::parse(reply.body)["error"]["type"], "invalid_request_error");
    }
  }
  EXPECT_EQ(Exchange1(server.port(), GetText("/" + std::string(4000, 'a'))).status, 404);
  const RawReply get = Exchange1(server.port(), GetText("/v1/chat/completions"));
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.headers.at("allow"), "POST");
  EXPECT_EQ(Exchange1(server.port(), PostText("/v1/models", "{}")).status, 405);
  for (const char* method : {"PUT", "PATCH", "DELETE", "OPTIONS"}) {
    const std::string request = std::string(method) + " /v1/models HTTP/1.1\r\nHost: x\r\n\r\n";
    const RawReply reply = Exchange1(server.port(), request);
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_FALSE(reply.headers.contains("access-control-allow-origin"));
  }
  EXPECT_EQ(Exchange1(server.port(), "BREW / HTTP/1.1\r\nHost: x\r\n\r\n").status, 400);
}

TEST(HttpServer, BodiesAreJsonByTheirLabel) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  const std::string body = BodyOf();
  const auto post = [&](const std::string& type) {
    return Exchange1(server.port(), "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + type +
                                        "Content-Length: " + std::to_string(body.size()) +
                                        "\r\n\r\n" + body);
  };
  EXPECT_EQ(post("Content-Type: Application/JSON; charset=utf-8\r\n").status, 200);
  for (const char* type :
       {"Content-Type: text/plain\r\n", "", "Content-Type: multipart/form-data; boundary=x\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n"}) {
    const RawReply reply = post(type);
    EXPECT_EQ(reply.status, 415) << type;
    EXPECT_EQ(reply.headers.at("connection"), "close");
  }
}

TEST(HttpServer, KeysAreCheckedWhereTheyMatter) {
  FakeBackend backend;
  HttpServer server(Served(backend), {}, {.authorize = [](std::string_view key) -> Admission {
                      if (key == "busy") throw BusyError("the key is over its limit");
                      if (key != "sesame")
                        throw Error(Code::kUnauthenticated, "the key is not known");
                      return {};
                    }});
  const int port = server.port();
  const RawReply none = Exchange1(port, GetText("/v1/models"));
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(Json::parse(none.body)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(Exchange1(port, GetText("/v1/models", "Authorization: Bearer wrong\r\n")).status, 401);
  EXPECT_EQ(Exchange1(port, GetText("/v1/models", "Authorization: Basic sesame\r\n")).status, 401);
  EXPECT_EQ(Exchange1(port, GetText("/v1/models", "Authorization: Bearer sesame\r\n")).status, 200);
  EXPECT_EQ(Exchange1(port, GetText("/v1/models", "authorization: bearer sesame\r\n")).status, 200);
  const RawReply busy = Exchange1(port, GetText("/v1/models", "Authorization: Bearer busy\r\n"));
  EXPECT_EQ(busy.status, 429);
  EXPECT_EQ(busy.headers.count("retry-after"), 1U);
  for (const char* path : {"/", "/healthz", "/readyz", "/metrics"})
    EXPECT_EQ(Exchange1(port, GetText(path)).status, 200) << path;
  EXPECT_EQ(Exchange1(port, PostText("/explain", "{}")).status, 401);
}

TEST(HttpServer, OtherOriginsOnlyWhenToldSo) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {.cors_origin = "https://a.org"}, {});
  const RawReply preflight =
      Exchange1(server.port(),
                "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: x\r\nOrigin: https://a.org\r\n"
                "Access-Control-Request-Headers: authorization,content-type\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "https://a.org");
  EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "authorization,content-type");
  EXPECT_EQ(Chat(server.port()).headers.at("access-control-allow-origin"), "https://a.org");
}

TEST(HttpServer, RequestIdsComeBackAndAreLogged) {
  FakeBackend backend;
  std::mutex mutex;
  std::vector<HttpLogEntry> log;
  {
    HttpServer server(Served(backend), {}, {.log = [&](const HttpLogEntry& entry) {
                        const std::lock_guard lock(mutex);
                        log.push_back(entry);
                      }});
    const std::string headers = "X-Request-Id: abc-1\r\ntraceparent: 00-aa-bb-01\r\n";
    const RawReply reply =
        Exchange1(server.port(), PostText("/v1/chat/completions", BodyOf(), headers));
    EXPECT_EQ(reply.headers.at("x-request-id"), "abc-1");
    EXPECT_EQ(backend.last().id, "abc-1");
    const RawReply odd = Exchange1(server.port(), GetText("/healthz", "X-Request-Id: a b<c>\r\n"));
    EXPECT_TRUE(odd.headers.at("x-request-id").starts_with("req_"));
  }
  // A line is written when its reply has gone, so the second may be first.
  ASSERT_EQ(log.size(), 2U);
  if (log[0].path == "/healthz") std::swap(log[0], log[1]);
  EXPECT_EQ(log[0].request_id, "abc-1");
  EXPECT_EQ(log[0].traceparent, "00-aa-bb-01");
  EXPECT_EQ(log[0].path, "/v1/chat/completions");
  EXPECT_EQ(log[0].status, 200);
  EXPECT_EQ(log[0].remote, "127.0.0.1");
  EXPECT_GT(log[0].bytes, 200);
}

TEST(HttpServer, APortThatIsTakenIsAnError) {
  FakeBackend backend;
  const HttpServer server(Served(backend), {}, {});
  try {
    const HttpServer second(Served(backend), {.port = server.port()}, {});
    FAIL() << "listens twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
  }
}

}  // namespace
}  // namespace binocle::http
