// The services over a loopback port, with a fake model behind them.
#include "service/grpc/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/service/grpc/server_testing.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::DetailOf;
using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::ServerTest;
using testing::Soon;
using Reader = grpc::ClientReader<v1::GenerateResponse>;

class ServicesTest : public ServerTest {
 protected:
  std::unique_ptr<Reader> Generate(grpc::ClientContext& context, const std::string& prompt) {
    v1::GenerateRequest request;
    request.set_id("mine");
    request.set_prompt(prompt);
    return stub_->Generate(&context, request);
  }
};

TEST_F(ServicesTest, AStreamHasAStartDeltasAndAnEnd) {
  Start();
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "request-7");
  context.AddMetadata("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
  const auto reader = Generate(context, "say a b c");
  std::vector<v1::GenerateResponse> messages;
  for (v1::GenerateResponse message; reader->Read(&message);) messages.push_back(message);
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_EQ(messages.size(), 5U);
  EXPECT_EQ(messages[0].started().id(), "mine");
  EXPECT_EQ(messages[0].started().model(), "fake");
  EXPECT_EQ(messages[0].started().prompt_tokens(), 7);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(messages[1 + i].delta().text(), std::string(1, static_cast<char>('a' + i)));
    EXPECT_THAT(messages[1 + i].delta().token_ids(), ElementsAre(i));
  }
  EXPECT_EQ(messages[4].finished().finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(messages[4].finished().usage().completion_tokens(), 3);
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-request-id")->second, "request-7");
  EXPECT_EQ(context.GetServerInitialMetadata().count("traceparent"), 1U);
  ASSERT_TRUE(Soon([&] { return records().size() == 1; }));
  EXPECT_EQ(records()[0].method, "Generate");
  EXPECT_EQ(records()[0].request_id, "request-7");
  EXPECT_EQ(records()[0].trace_id, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(records()[0].code, grpc::StatusCode::OK);
}

TEST_F(ServicesTest, ALongStreamArrivesWholeAndInOrder) {
  Start();
  grpc::ClientContext context;
  const auto reader = Generate(context, "count 300");
  int next = 0;
  for (v1::GenerateResponse message; reader->Read(&message);) {
    if (!message.has_delta()) continue;
    EXPECT_EQ(message.delta().token_ids(0), next++);
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(next, 300);
}

TEST_F(ServicesTest, AskAnswers) {
  Start();
  ASSERT_TRUE(Ask("say yes").ok());
  EXPECT_EQ(answer_.answer(), "yes");
  EXPECT_EQ(answer_.model(), "fake");
  ASSERT_TRUE(Soon([&] { return server_->in_flight() == 0; }));
}

TEST_F(ServicesTest, BadRequestsAreToldWithTheirFields) {
  Start();
  grpc::ClientContext context;
  v1::AskRequest request;
  request.mutable_sampling()->set_temperature(-1);
  request.add_images();
  const grpc::Status status = stub_->Ask(&context, request, &answer_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto details = DetailOf<google::rpc::BadRequest>(status);
  ASSERT_EQ(details.field_violations_size(), 3);
  EXPECT_EQ(details.field_violations(0).field(), "images[0]");
  EXPECT_EQ(details.field_violations(1).field(), "prompt");
  EXPECT_EQ(details.field_violations(2).field(), "sampling.temperature");
}

TEST_F(ServicesTest, WhatTheEngineSaysIsAboutFieldsOfTheRequest) {
  Start();
  const auto violation = [](const grpc::Status& status) {
    const auto bad = DetailOf<google::rpc::BadRequest>(status);
    return bad.field_violations_size() == 1
               ? bad.field_violations(0).field() + "|" + bad.field_violations(0).description()
               : bad.DebugString();
  };
  const auto ask = [&](const std::string& text) {
    grpc::ClientContext context;
    return violation(stub_->Ask(&context, testing::Parse<v1::AskRequest>(text), &answer_));
  };
  const std::string tokens = "refuse prompt: has 600 tokens (0 pictures), expected at most 511";
  EXPECT_EQ(ask("prompt: '" + tokens + "'"),
            "prompt|has 600 tokens (0 pictures), expected at most 511");
  EXPECT_EQ(ask("prompt: '" + tokens + "' system: '" + std::string(999, 'a') + "'"),
            "system|with the rest of the prompt has 600 tokens (0 pictures), expected at most 511");
  EXPECT_EQ(ask("messages { role: ROLE_USER text: '" + tokens + "' }"),
            "messages[0].text|has 600 tokens (0 pictures), expected at most 511");
  EXPECT_EQ(ask("prompt: 'refuse prompt: has 2 <image> marks, expected 0' system: '" +
                std::string(999, 'a') + "'"),
            "prompt|has 2 <image> marks, expected 0");
  EXPECT_EQ(ask("prompt: 'refuse request: has 1 pictures, expected none: a text model' images { "
                "data: '1' }"),
            "images|has 1 pictures, expected none: a text model");
  EXPECT_EQ(ask("prompt: 'refuse guidance: nothing is left of the prompt'"),
            "interventions.guidance|nothing is left of the prompt");

  const auto infer = [&](const std::string& prompt) {
    auto request = testing::Parse<inference::ModelInferRequest>(R"(
        inputs { name: 'image' datatype: 'BYTES' shape: 2 contents { bytes_contents: '1' bytes_contents: '2' } }
        inputs { name: 'prompt' datatype: 'BYTES' shape: 1 contents { } })");
    request.mutable_inputs(1)->mutable_contents()->add_bytes_contents(prompt);
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = infer_->ModelInfer(&context, request, &response);
    return status.error_message() + "|" + violation(status);
  };
  EXPECT_EQ(infer("refuse prompt: is empty"), "inputs[1] is empty|inputs[1]|is empty");
  EXPECT_EQ(infer("refuse images[1]: is no picture"),
            "inputs[0].contents.bytes_contents[1] is no picture|"
            "inputs[0].contents.bytes_contents[1]|is no picture");
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  const auto gone = testing::Parse<inference::ModelInferRequest>(
      "model_name: 'gone' inputs { name: 'prompt' datatype: 'BYTES' shape: 1 "
      "contents { bytes_contents: 'a' } }");
  EXPECT_EQ(violation(infer_->ModelInfer(&context, gone, &response)),
            "model_name|is gone, expected one of: fake, other");
}

TEST_F(ServicesTest, ErrorsOfTheModelKeepTheirCodes) {
  Start();
  EXPECT_EQ(Ask("fail 9").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  const grpc::Status full = Ask("throw");
  EXPECT_EQ(full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(full).retry_delay().seconds(), 1);
  grpc::ClientContext context;
  const auto reader = Generate(context, "fail 14");
  v1::GenerateResponse message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServicesTest, ModelsAreFoundByName) {
  Start();
  grpc::ClientContext context, again;
  v1::AskRequest request;
  request.set_prompt("say yes");
  request.set_model("other");
  ASSERT_TRUE(stub_->Ask(&context, request, &answer_).ok());
  EXPECT_EQ(answer_.model(), "other");
  request.set_model("gone");
  const grpc::Status status = stub_->Ask(&again, request, &answer_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("expected one of: fake, other"));
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status).field_violations(0).field(), "model");
}

// As many as the options let models take, by default more than the 256 streams that gRPC's servers like to allow.
TEST_F(ServicesTest, AConnectionFillsTheQueueAndHearsThatItIsFull) {
  Start();
  const int64_t most = GrpcServerOptions().max_requests;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Reader>> readers;
  for (int64_t i = 0; i < most; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(Generate(*contexts.back(), "sleep"));
  }
  EXPECT_TRUE(Soon([&] { return backend_->running == most; }));
  EXPECT_EQ(Ask("throw").error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::GetServerInfoResponse info;
  EXPECT_TRUE(models_->GetServerInfo(&context, {}, &info).ok());
  for (const auto& request : contexts) request->TryCancel();
  v1::GenerateResponse message;
  for (const auto& reader : readers) {
    while (reader->Read(&message)) continue;
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_F(ServicesTest, AClientThatCancelsEndsItsRequest) {
  Start();
  grpc::ClientContext context;
  const auto reader = Generate(context, "forever");
  v1::GenerateResponse message;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  while (reader->Read(&message)) continue;
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Soon([&] { return backend_->cancelled == 1 && server_->in_flight() == 0; }));
}

TEST_F(ServicesTest, ADeadlineReachesTheModelAndEndsTheCall) {
  Start();
  grpc::ClientContext context;
  const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(500);
  context.set_deadline(deadline);
  v1::AskRequest request;
  request.set_prompt("sleep");
  EXPECT_EQ(stub_->Ask(&context, request, &answer_).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_LT(std::chrono::system_clock::now() - deadline, std::chrono::seconds(2));
  EXPECT_TRUE(Soon([&] { return backend_->running == 0 && server_->in_flight() == 0; }));
  ASSERT_TRUE(backend_->last().deadline);
  const auto left = *backend_->last().deadline - std::chrono::steady_clock::now();
  EXPECT_LT(left, std::chrono::milliseconds(500));
}

TEST_F(ServicesTest, WithoutADeadlineThereIsNone) {
  Start();
  grpc::ClientContext context;
  v1::AskRequest request;
  request.set_prompt("say a");
  ASSERT_TRUE(stub_->Ask(&context, request, &answer_).ok());
  EXPECT_FALSE(backend_->last().deadline);
}

TEST_F(ServicesTest, AStalledClientCostsNothingAfterTheLimit) {
  GrpcServerOptions options;
  options.stall_limit = std::chrono::milliseconds(200);
  options.max_queued_messages = 1 << 20;
  Start(std::move(options));
  grpc::ClientContext context;
  const auto reader = Generate(context, "flood");
  EXPECT_TRUE(Soon([&] { return backend_->running == 1; }));
  EXPECT_TRUE(Soon([&] { return backend_->cancelled == 1 && server_->in_flight() == 0; }));
  v1::GenerateResponse message;
  while (reader->Read(&message)) continue;
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(ServicesTest, AStalledAnswerThatHasEndedIsNotCalledWell) {
  constexpr size_t kMoreThanFitsOnTheWay = 16 << 20;
  GrpcServerOptions options;
  options.stall_limit = std::chrono::milliseconds(1000);
  options.limits.max_prompt_bytes = 2 * kMoreThanFitsOnTheWay;
  Start(std::move(options));
  grpc::ClientContext context;
  const auto reader = Generate(context, "say " + std::string(kMoreThanFitsOnTheWay, 'a'));
  ASSERT_TRUE(Soon([&] { return !records().empty(); }));
  EXPECT_EQ(records()[0].code, grpc::StatusCode::CANCELLED);
  v1::GenerateResponse message;
  while (reader->Read(&message)) continue;
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(ServicesTest, ALongMessageMayBeReadLateButWithinTheLimit) {
  constexpr size_t kMoreThanFitsOnTheWay = 16 << 20;
  GrpcServerOptions options;
  options.limits.max_prompt_bytes = 2 * kMoreThanFitsOnTheWay;
  Start(std::move(options));
  grpc::ClientContext context;
  const auto reader = Generate(context, "say " + std::string(kMoreThanFitsOnTheWay, 'a'));
  EXPECT_TRUE(Soon([&] { return backend_->running == 0 && !backend_->last().messages.empty(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  v1::GenerateResponse message;
  size_t bytes = 0;
  while (reader->Read(&message)) bytes += message.delta().text().size();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(bytes, kMoreThanFitsOnTheWay);
}

TEST_F(ServicesTest, AClientThatReadsTooSlowlyIsCutOff) {
  GrpcServerOptions options;
  options.max_queued_messages = 8;
  Start(std::move(options));
  grpc::ClientContext context;
  const auto reader = Generate(context, "flood");
  EXPECT_TRUE(Soon([&] { return backend_->cancelled == 1 && server_->in_flight() == 0; }));
  v1::GenerateResponse message;
  while (reader->Read(&message)) continue;
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(ServicesTest, EmbedAndExplainAnswer) {
  Start();
  grpc::ClientContext embed_context, explain_context;
  v1::EmbedRequest embed;
  embed.add_images()->set_data("12345");
  embed.add_texts("abc");
  v1::EmbedResponse vectors;
  ASSERT_TRUE(stub_->Embed(&embed_context, embed, &vectors).ok());
  EXPECT_THAT(vectors.images(0).values(), ElementsAre(5));
  EXPECT_THAT(vectors.texts(0).values(), ElementsAre(3));
  v1::ExplainRequest explain;
  explain.set_prompt("say a");
  explain.add_images()->set_data("1");
  v1::ExplainResponse explanation;
  ASSERT_TRUE(stub_->Explain(&explain_context, explain, &explanation).ok());
  EXPECT_EQ(explanation.response().answer(), "seen");
  EXPECT_EQ(explanation.rows(), 3);
}

TEST_F(ServicesTest, WorkersAreFewAndADeadlineFreesThem) {
  GrpcServerOptions options;
  options.workers = 1;
  options.max_queued_work = 0;
  Start(std::move(options));
  v1::ExplainRequest request;
  request.set_prompt("sleep");
  request.add_images()->set_data("1");
  v1::ExplainResponse explanation, other;
  grpc::Status first;
  std::thread sleeper([&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    first = stub_->Explain(&context, request, &explanation);
  });
  EXPECT_TRUE(Soon([&] { return backend_->running == 1; }));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  EXPECT_EQ(stub_->Explain(&context, request, &other).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  sleeper.join();
  EXPECT_EQ(first.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Soon([&] { return backend_->running == 0 && server_->in_flight() == 0; }));
}

TEST_F(ServicesTest, WordsDoNotWaitForPicturesAndTheCancelledHoldNoPlace) {
  GrpcServerOptions options;
  options.workers = 1;
  options.max_queued_work = 1;
  Start(std::move(options));
  v1::ExplainRequest request;
  request.set_prompt("sleep");
  request.add_images()->set_data("1");
  const auto explain = [&](grpc::ClientContext& context, int milliseconds) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(milliseconds));
    v1::ExplainResponse explanation;
    return stub_->Explain(&context, request, &explanation).error_code();
  };
  grpc::ClientContext running, waiting, refused, next, words;
  std::thread sleeper([&] { explain(running, 60'000); });
  EXPECT_TRUE(Soon([&] { return backend_->running == 1; }));
  grpc::StatusCode code_of_waiting;
  std::thread waiter([&] { code_of_waiting = explain(waiting, 60'000); });
  EXPECT_TRUE(Soon([&] { return server_->in_flight() == 2; }));
  // It is in flight a moment before it has its place in the queue, which nothing tells of.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(explain(refused, 60'000), grpc::StatusCode::RESOURCE_EXHAUSTED);

  v1::EmbedRequest embed;
  embed.add_texts("abc");
  v1::EmbedResponse vectors;
  EXPECT_TRUE(stub_->Embed(&words, embed, &vectors).ok());

  waiting.TryCancel();
  waiter.join();
  EXPECT_EQ(code_of_waiting, grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Soon([&] { return server_->in_flight() == 1; }));
  EXPECT_EQ(explain(next, 200), grpc::StatusCode::DEADLINE_EXCEEDED) << "it waited";
  running.TryCancel();
  sleeper.join();
  EXPECT_TRUE(Soon([&] { return backend_->running == 0 && server_->in_flight() == 0; }));
}

TEST_F(ServicesTest, KServeAsksTheSameModel) {
  Start();
  grpc::ClientContext live_context, ready_context, metadata_context, infer_context, bad_context;
  inference::ServerLiveResponse live;
  ASSERT_TRUE(infer_->ServerLive(&live_context, {}, &live).ok());
  EXPECT_TRUE(live.live());
  inference::ModelReadyRequest ready_request;
  ready_request.set_name("gone");
  inference::ModelReadyResponse ready;
  ASSERT_TRUE(infer_->ModelReady(&ready_context, ready_request, &ready).ok());
  EXPECT_FALSE(ready.ready());
  inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(infer_->ModelMetadata(&metadata_context, {}, &metadata).ok());
  EXPECT_EQ(metadata.inputs(1).name(), "image");

  auto request = testing::Parse<inference::ModelInferRequest>(R"(
      model_name: 'fake' id: '7' parameters { key: 'temperature' value { double_param: 0.5 } }
      parameters { key: 'seed' value { int64_param: 9 } } parameters { key: 'stop' value { string_param: 'z' } }
      inputs { name: 'prompt' datatype: 'BYTES' shape: 1 } inputs { name: 'image' datatype: 'BYTES' shape: 2 }
      raw_input_contents: '\007\000\000\000say yes' raw_input_contents: '\001\000\000\000a\002\000\000\000bc')");
  inference::ModelInferResponse response;
  ASSERT_TRUE(infer_->ModelInfer(&infer_context, request, &response).ok());
  EXPECT_EQ(response.id(), "7");
  EXPECT_EQ(response.outputs(0).name(), "answer");
  EXPECT_EQ(response.raw_output_contents(0), std::string("\x03\0\0\0yes", 7));
  EXPECT_EQ(response.raw_output_contents(1), std::string("\x04\0\0\0stop", 8));
  EXPECT_EQ(backend_->last().generation.temperature, 0.5);
  EXPECT_EQ(backend_->last().generation.seed, 9U);
  EXPECT_EQ(backend_->last().messages[0].images[1].bytes, "bc");

  (*request.mutable_parameters())["temperature"].set_double_param(-1);
  const grpc::Status status = infer_->ModelInfer(&bad_context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status).field_violations(0).field(),
            "parameters[temperature]");
}

TEST_F(ServicesTest, ModelServiceTellsAboutModelsAndTheServer) {
  Start();
  grpc::ClientContext list_context, get_context, info_context;
  v1::ListModelsResponse list;
  ASSERT_TRUE(models_->ListModels(&list_context, {}, &list).ok());
  ASSERT_EQ(list.models_size(), 2);
  EXPECT_EQ(list.models(1).name(), "other");
  v1::GetModelRequest request;
  request.set_tensors(true);
  v1::GetModelResponse model;
  ASSERT_TRUE(models_->GetModel(&get_context, request, &model).ok());
  EXPECT_EQ(model.model().name(), "fake");
  EXPECT_EQ(model.model().tensors_size(), 1);
  // A call is over when gRPC lets go of it, which is after its client has the answer.
  ASSERT_TRUE(Soon([&] { return server_->in_flight() == 0; }));
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(models_->GetServerInfo(&info_context, {}, &info).ok());
  EXPECT_FALSE(info.draining());
  EXPECT_EQ(info.in_flight(), 1);
  EXPECT_EQ(info.limits().max_message_bytes(), 64 << 20);
  EXPECT_NE(info.version(), "");
}

TEST_F(ServicesTest, AMessageAboveTheLimitIsRefused) {
  GrpcServerOptions options;
  options.max_message_bytes = 2048;
  Start(std::move(options));
  EXPECT_EQ(Ask("say " + std::string(4096, 'a')).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Ask("say a").ok());
}

// gRPC would refuse to send it, and the log would call it well.
TEST_F(ServicesTest, AReplyAboveTheLimitIsToldAndRecorded) {
  GrpcServerOptions options;
  options.max_message_bytes = 2048;
  Start(std::move(options));
  std::string words = "say";
  for (int i = 0; i < 900; ++i) words += " a";
  EXPECT_THAT(Ask(words).error_message(), HasSubstr("the server's limit on messages is 2048"));
  v1::GenerateRequest request;
  request.set_prompt("flood");
  grpc::ClientContext context;
  const auto stream = stub_->Generate(&context, request);
  v1::GenerateResponse response;
  while (stream->Read(&response)) EXPECT_LE(response.ByteSizeLong(), 2048);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  ASSERT_TRUE(testing::Soon([&] { return records().size() == 2; }));
  for (const CallRecord& record : records())
    EXPECT_EQ(record.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// Unpacked before anything is known of it, a small one would take all memory.
TEST_F(ServicesTest, CompressedMessagesAreRefusedUnread) {
  Start();
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::AskRequest request;
    request.set_prompt("say " + std::string(1 << 20, 'a'));
    EXPECT_EQ(stub_->Ask(&context, request, &answer_).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
  for (const CallRecord& record : records()) EXPECT_EQ(record.code, grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Ask("say a").ok());
}

TEST_F(ServicesTest, AMessageThatIsNoneIsTheClientsFault) {
  Start();
  v1::AskRequest request;
  request.set_model("\xff");  // no UTF-8, so that it cannot be read
  grpc::ClientContext context;
  const grpc::Status status = stub_->Ask(&context, request, &answer_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("the request is no message of the type"));
}

TEST_F(ServicesTest, OptionsThatCannotBeAreRefused) {
  Start();
  const auto start = [](GrpcServerOptions options) {
    return ErrorOf([&] {
      GrpcServer::Start(ModelList({{"fake", std::make_shared<testing::FakeBackend>()}}),
                        std::move(options));
    });
  };
  EXPECT_THAT(start({.listen = "127.0.0.1:" + std::to_string(server_->port())}),
              HasSubstr("UNAVAILABLE: listen"));
  EXPECT_THAT(start({.max_message_bytes = 1}),
              HasSubstr("INVALID_ARGUMENT: max_message_bytes is 1"));
  EXPECT_THAT(start({.allow_files = {"/nowhere"}}), HasSubstr("INVALID_ARGUMENT: allow_files"));
  EXPECT_THAT(start({.tls = TlsOptions{.certificate = "x", .key = "y", .client_ca = {}}}),
              HasSubstr("tls_certificate"));
  EXPECT_THAT(ErrorOf([] { ModelList({}); }), HasSubstr("models: none"));
}

}  // namespace
}  // namespace binocle
