#include "service/http/openai_response.h"
#include "service/common/random_id.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "binocle/busy_error.h"
#include "service/common/random_id.h"
#include "service/http/data_url.h"
#include "tests/http/bodies.h"

namespace binocle::http {
namespace {

const ReplyHead kHead = {.id = "chatcmpl-1", .created = 7, .model = "tiny", .fingerprint = "fp"};

// Token 0 is special; the others are "t1", "t2", …
std::string TokenText(int32_t id) { return id == 0 ? "" : "t" + std::to_string(id); }

ChatRequest ChatOf(int64_t n = 1) {
  ChatRequest chat{.model = "tiny"};
  chat.request.generation.n = n;
  return chat;
}

Response TwoTokens() {
  Response response{.model = "engine's name", .prompt_tokens = 10, .image_tokens = 4};
  response.answers.push_back({.text = "t1t2",
                              .finish_reason = FinishReason::kStop,
                              .token_ids = {1, 2, 0},
                              .logprobs = {{{1, -0.5}, {3, -1.5}}, {{3, -0.25}}, {{0, -0.1}}}});
  return response;
}

Json Completion(const ChatRequest& chat, const Response& response) {
  return Json::parse(CompletionLine(kHead, chat, response, TokenText));
}

Json Parsed(const std::string& event) {
  EXPECT_TRUE(event.starts_with("data: ") && event.ends_with("\n\n")) << event;
  EXPECT_EQ(event.find('\n'), event.size() - 2);
  return Json::parse(event.substr(6));
}

TEST(Completion, HasWhatClientsNeed) {
  const Json json = Completion(ChatOf(), TwoTokens());
  EXPECT_EQ(json,
            Json::parse(
                R"({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "tiny",
    "system_fingerprint": "fp", "choices": [{"index": 0, "message": {"role": "assistant", "content": "t1t2", "refusal": null,
    "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 0}}})"));
}

TEST(Completion, SeveralAnswersHaveTheirIndex) {
  Response response = TwoTokens();
  response.answers.push_back({.text = "", .finish_reason = FinishReason::kLength});
  const Json json = Completion(ChatOf(2), response);
  EXPECT_EQ(json["choices"][1]["index"], 1);
  EXPECT_EQ(json["choices"][1]["message"]["content"], "");
  EXPECT_EQ(json["choices"][1]["finish_reason"], "length");
}

TEST(Completion, LogprobsInOpenAisShape) {
  ChatRequest chat = ChatOf();
  chat.logprobs = true;
  chat.top_logprobs = 1;
  const Json json = Completion(chat, TwoTokens());
  // Of the end token there is none, and the second token was not among the most probable.
  EXPECT_EQ(json["choices"][0]["logprobs"], Json::parse(R"({"content": [
    {"token": "t1", "logprob": -0.5, "bytes": [116, 49], "top_logprobs": [{"token": "t1", "logprob": -0.5, "bytes": [116, 49]}]},
    {"token": "t2", "logprob": -9999.0, "bytes": [116, 50], "top_logprobs": [{"token": "t3", "logprob": -0.25, "bytes": [116, 51]}]}],
    "refusal": null})"));
}

TEST(Completion, TextsThatLookLikeMembersAreTexts) {
  Response response = TwoTokens();
  response.answers[0].text = R"("logprobs":null,"choices":[])";
  ChatRequest chat = ChatOf();
  chat.logprobs = true;
  const ReplyHead head{.id = R"("choices":[])", .model = R"("choices":[])"};
  const Json json = Json::parse(CompletionLine(head, chat, response, TokenText));
  EXPECT_EQ(json["id"], head.id);
  EXPECT_EQ(json["choices"][0]["message"]["content"], response.answers[0].text);
  EXPECT_EQ(json["choices"][0]["logprobs"]["content"].size(), 2U);
}

TEST(Completion, InfinitiesAreNumbersOfJson) {
  Response response = TwoTokens();
  response.answers[0].logprobs[0][1].value = -INFINITY;
  ChatRequest chat = ChatOf();
  chat.logprobs = true;
  chat.top_logprobs = 2;
  const Json json = Completion(chat, response);
  EXPECT_EQ(json["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["logprob"], -9999.0);
}

TEST(Completion, ExtrasComeWhenTheBodyHadTheObject) {
  ChatRequest chat = ChatOf();
  chat.extras = true;
  Response response = TwoTokens();
  response.answers[0].grounding = {0.5, 0.25, 0};
  const Json json = Completion(chat, response);
  EXPECT_EQ(json["choices"][0]["binocle"]["token_ids"], (std::vector<int>{1, 2, 0}));
  EXPECT_EQ(json["choices"][0]["binocle"]["grounding"], (std::vector<double>{0.5, 0.25, 0}));
  EXPECT_EQ(json["binocle"]["image_tokens"], 4);
  EXPECT_TRUE(json["binocle"].contains("timings_ms"));
}

TEST(Completion, BrokenBytesDoNotBreakTheLine) {
  Response response = TwoTokens();
  response.answers[0].text = "a\xFF\nb";
  const std::string line = CompletionLine(kHead, ChatOf(), response, TokenText);
  EXPECT_EQ(Json::parse(line)["choices"][0]["message"]["content"], "a\uFFFD\nb");
}

DeltaEvent Text(int64_t answer, const char* text) {
  return {.answer = answer, .text = text, .token_ids = {}, .logprobs = {}};
}

TEST(Chunks, AStreamFromRoleToDone) {
  ChatRequest chat = ChatOf();
  chat.include_usage = true;
  ChunkWriter writer(kHead, chat, TokenText);
  const auto begin = writer.Begin();
  ASSERT_EQ(begin.size(), 1U);
  EXPECT_EQ(
      Parsed(begin[0]),
      Json::parse(
          R"({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "tiny",
    "system_fingerprint": "fp", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "refusal": null},
    "logprobs": null, "finish_reason": null}], "usage": null})"));
  const Json delta = Parsed(writer.Delta(Text(0, "line\nbreak \"é\"")));
  EXPECT_EQ(delta["choices"][0]["delta"], Json({{"content", "line\nbreak \"é\""}}));
  EXPECT_EQ(delta["choices"][0]["finish_reason"], nullptr);
  const auto end = writer.Finish(TwoTokens());
  ASSERT_EQ(end.size(), 3U);
  EXPECT_EQ(Parsed(end[0])["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(Parsed(end[0])["choices"][0]["delta"], Json::object());
  EXPECT_EQ(Parsed(end[1])["choices"], Json::array());
  EXPECT_EQ(Parsed(end[1])["usage"]["total_tokens"], 13);
  EXPECT_EQ(end[2], "data: [DONE]\n\n");
}

TEST(Chunks, WithoutUsageUnlessAskedFor) {
  ChunkWriter writer(kHead, ChatOf(), TokenText);
  EXPECT_FALSE(Parsed(writer.Begin()[0]).contains("usage"));
  EXPECT_EQ(writer.Finish(TwoTokens()).size(), 2U);
}

TEST(Chunks, EveryAnswerHasARoleAndAnEnd) {
  ChunkWriter writer(kHead, ChatOf(2), TokenText);
  ASSERT_EQ(writer.Begin().size(), 2U);
  EXPECT_EQ(Parsed(writer.Begin()[1])["choices"][0]["index"], 1);
  EXPECT_EQ(Parsed(writer.Delta(Text(1, "x")))["choices"][0]["index"], 1);
  EXPECT_EQ(writer.Delta(Text(1, "")), "");
}

TEST(Chunks, LogprobsComeWithTheTextOfTheirTokens) {
  ChatRequest chat = ChatOf();
  chat.logprobs = true;
  const Response whole = TwoTokens();
  const Answer& answer = whole.answers[0];
  const Json want = Completion(chat, whole)["choices"][0]["logprobs"]["content"];
  // However the tokens are parted: [first, second, end] with text, without, or all at the end.
  const auto part = [&](size_t first, size_t end, const char* text) {
    const auto at = [](size_t i) { return static_cast<int64_t>(i); };
    return DeltaEvent{
        .answer = 0,
        .text = text,
        .token_ids = {answer.token_ids.begin() + at(first), answer.token_ids.begin() + at(end)},
        .logprobs = {answer.logprobs.begin() + at(first), answer.logprobs.begin() + at(end)}};
  };
  const std::vector<std::vector<DeltaEvent>> streams = {
      {},
      {part(0, 1, "t1"), part(1, 2, "t2"), part(2, 3, "")},
      {part(0, 1, ""), part(1, 3, "t1t2")},
      {part(0, 1, "t1"), part(1, 3, "")}};
  for (const auto& stream : streams) {
    ChunkWriter writer(kHead, chat, TokenText);
    Json got = Json::array();
    const auto take = [&](const Json& chunk) {
      const Json& logprobs = chunk["choices"][0]["logprobs"];
      if (logprobs.is_null()) return;
      for (const Json& step : logprobs["content"]) got.push_back(step);
    };
    for (const DeltaEvent& delta : stream) {
      const std::string event = writer.Delta(delta);
      EXPECT_EQ(event.empty(), delta.text.empty());
      if (!event.empty()) take(Parsed(event));
    }
    take(Parsed(writer.Finish(whole)[0]));
    EXPECT_EQ(got, want) << stream.size();
  }
}

TEST(Chunks, AFailureIsAnEvent) {
  const std::string event =
      ChunkWriter::Failure(ToHttpError(Error(Code::kInternal, "the weights melted")));
  EXPECT_EQ(
      Parsed(event),
      Json::parse(
          R"({"error": {"message": "the weights melted", "type": "server_error", "param": null,
    "code": "internal_error"}})"));
}

TEST(Errors, EveryCodeHasAStatus) {
  const std::vector<std::pair<Code, int>> statuses = {
      {Code::kCancelled, 503},          {Code::kUnknown, 500},
      {Code::kInvalidArgument, 400},    {Code::kDeadlineExceeded, 504},
      {Code::kNotFound, 404},           {Code::kAlreadyExists, 409},
      {Code::kPermissionDenied, 403},   {Code::kResourceExhausted, 413},
      {Code::kFailedPrecondition, 400}, {Code::kAborted, 409},
      {Code::kOutOfRange, 400},         {Code::kUnimplemented, 400},
      {Code::kInternal, 500},           {Code::kUnavailable, 503},
      {Code::kDataLoss, 500},           {Code::kUnauthenticated, 401}};
  for (const auto& [code, status] : statuses) {
    const HttpError error = ToHttpError(Error(code, "text"));
    EXPECT_EQ(error.status, status) << CodeName(code);
    EXPECT_FALSE(error.type.empty() || error.code.empty());
    EXPECT_EQ(error.retry_after_seconds.has_value(), code == Code::kUnavailable) << CodeName(code);
  }
}

TEST(Errors, WhatPassesIsTriedAgain) {
  const HttpError error = ToHttpError(BusyError("the queue is full"));
  EXPECT_EQ(error.status, 429);
  EXPECT_EQ(error.retry_after_seconds, 1);
}

TEST(Errors, WhatIsTooLargeIsNotTriedAgain) {
  const HttpError error = ToHttpError(Error(Code::kResourceExhausted, "x is too large", "x"));
  EXPECT_EQ(error.status, 413);
  EXPECT_FALSE(error.retry_after_seconds);
}

TEST(Errors, AnUnknownModel) {
  const HttpError error = ToHttpError(Error(Code::kNotFound, "model is \"x\"", "model"));
  EXPECT_EQ(error.status, 404);
  EXPECT_EQ(error.code, "model_not_found");
}

TEST(Models, ListAndOne) {
  const Json list = ModelsJson({{.name = "tiny", .created = 7}, {.name = "other"}});
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(
      list["data"][0],
      Json::parse(R"({"id": "tiny", "object": "model", "created": 7, "owned_by": "binocle"})"));
}

TEST(EmbeddingReplies, FloatsAndBase64AreTheSameNumbers) {
  EmbeddingRequest request{.model = "tiny"};
  const std::vector<Embedding> embeddings{{.values = {0.5F, -1.25F}, .tokens = 2},
                                          {.values = {3.0F, 4.0F}, .tokens = 3}};
  const Json floats = EmbeddingsJson(request, embeddings);
  EXPECT_EQ(floats["data"][1]["embedding"], (std::vector<double>{3, 4}));
  EXPECT_EQ(floats["data"][1]["index"], 1);
  EXPECT_EQ(floats["usage"], Json::parse(R"({"prompt_tokens": 5, "total_tokens": 5})"));
  request.format = EmbeddingRequest::Format::kBase64;
  const Json coded = EmbeddingsJson(request, embeddings);
  const std::string bytes = *DecodeBase64(coded["data"][0]["embedding"].get<std::string>());
  ASSERT_EQ(bytes.size(), 8U);
  float values[2];
  std::memcpy(values, bytes.data(), sizeof values);
  EXPECT_EQ(values[1], -1.25F);
}

TEST(RandomIds, AreNotTheSame) {
  EXPECT_EQ(RandomId().size(), 24U);
  EXPECT_NE(RandomId(), RandomId());
}

}  // namespace
}  // namespace binocle::http
