// The client against a server whose answers are chosen: what it sends, what it makes of answers and errors, and when it asks again.
#include "binocle/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/service/client/fake_server.h"

namespace binocle {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using testing::FakeServer;
using testing::StatusWith;

grpc::Status OneAnswer(v1::AskResponse& response) {
  response.add_answers()->set_text("a key");
  return grpc::Status::OK;
}

v1::GenerateResponse DeltaMessage(const std::string& text, int answer = 0) {
  v1::GenerateResponse message;
  message.mutable_delta()->set_text(text);
  message.mutable_delta()->add_token_ids(static_cast<int>(text.size()));
  message.mutable_delta()->set_answer(answer);
  return message;
}

v1::GenerateResponse FinishedMessage() {
  v1::GenerateResponse message;
  message.mutable_finished()->add_answers()->set_finish_reason(v1::FINISH_REASON_LENGTH);
  message.mutable_finished()->mutable_usage()->set_prompt_tokens(5);
  return message;
}

// What `call` throws.
template <typename Call>
CallError Failure(const Call& call) {
  try {
    call();
  } catch (const CallError& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {Code::kUnknown, "", "", {}};
}

TEST(Client, SendsTheWholeRequest) {
  FakeServer server;
  server.on_ask = OneAnswer;
  Request request = Ask("Who?", {ImageInput::FromBytes("bytes"), UploadedImage("abc"),
                                 ImageInput::FromFile("file:///a.png")});
  request.messages[0].images[1].exif = false;
  request.id = "mine";
  request.system = "Be brief.";
  request.generation = {.max_new_tokens = 7,
                        .temperature = 0.5,
                        .top_k = int64_t{1} << 40,
                        .top_p = 0.9,
                        .min_p = 0.1,
                        .repetition_penalty = 1.5,
                        .seed = UINT64_MAX,
                        .stop = {"a", "\xff"},
                        .n = 2,
                        .logprobs = 3};
  request.interventions.var = VarOptions{.p = 0.25, .layers = Layers{1, 2}, .dims = {4, 5}};
  request.attention = {.kind = AttentionKind::kComposite,
                       .composite_layers = LayerRanges::Parse("0-3,5"),
                       .aligner = Aligner::kVoFfn};
  request.constraint = Choices{{"yes", "no"}};
  request.grounding = true;
  request.priority = -3;
  const Response response = server.Connect({.token = "secret", .model = "other"}).Ask(request);
  EXPECT_EQ(response.answers.at(0).text, "a key");
  EXPECT_EQ(server.authorization, "Bearer secret");

  const v1::AskRequest& asked = server.asked;
  EXPECT_EQ(asked.model(), "other");
  EXPECT_EQ(asked.id(), "mine");
  EXPECT_EQ(asked.prompt(), "Who?");
  ASSERT_EQ(asked.images_size(), 3);
  EXPECT_EQ(asked.images(0).data(), "bytes");
  EXPECT_EQ(asked.images(1).id(), "abc");
  EXPECT_FALSE(asked.images(1).exif());
  EXPECT_EQ(asked.images(2).uri(), "file:///a.png");
  EXPECT_EQ(asked.system(), "Be brief.");
  const v1::Sampling& sampling = asked.sampling();
  EXPECT_EQ(sampling.max_new_tokens(), 7);
  EXPECT_EQ(sampling.temperature(), 0.5);
  EXPECT_EQ(sampling.top_k(), INT32_MAX) << "the nearest number that the field holds";
  EXPECT_EQ(sampling.seed(), UINT64_MAX);
  EXPECT_EQ(sampling.stop(1), "\xEF\xBF\xBD");
  EXPECT_EQ(sampling.n(), 2);
  EXPECT_EQ(asked.logprobs(), 3);
  EXPECT_EQ(asked.interventions().var().p(), 0.25);
  EXPECT_EQ(asked.interventions().var().layers().last(), 2);
  EXPECT_FALSE(asked.interventions().has_pai());
  EXPECT_EQ(asked.attention().aligner(), v1::ALIGNER_VO_FFN);
  ASSERT_EQ(asked.attention().composite_layers_size(), 2);
  EXPECT_EQ(asked.attention().composite_layers(0).last(), 3);
  EXPECT_EQ(asked.attention().composite_layers(1).first(), 5);
  EXPECT_EQ(asked.constraint().choices().values(1), "no");
  EXPECT_TRUE(asked.grounding());
  EXPECT_EQ(asked.priority(), -3);
}

TEST(Client, SendsDialogues) {
  FakeServer server;
  server.on_ask = OneAnswer;
  Request request = Ask("What?", {ImageInput::FromBytes("bytes")});
  request.messages.push_back({.role = MessageRole::kAssistant, .text = "a key"});
  request.messages.push_back({.role = MessageRole::kUser, .text = "Where?"});
  server.Connect().Ask(request);
  ASSERT_EQ(server.asked.messages_size(), 3);
  EXPECT_EQ(server.asked.messages(0).images(0).data(), "bytes");
  EXPECT_EQ(server.asked.messages(1).role(), v1::ROLE_ASSISTANT);
  EXPECT_FALSE(server.asked.has_prompt());
}

TEST(Client, ReadsAnswers) {
  FakeServer server;
  server.on_ask = [](v1::AskResponse& response) {
    response.set_model("tiny");
    response.mutable_usage()->set_image_tokens(9);
    response.mutable_timings()->set_total(12.5);
    response.add_prompt_token_ids(1);
    auto& answer = *response.add_answers();
    answer.set_text("yes");
    answer.set_finish_reason(v1::FINISH_REASON_LENGTH);
    answer.add_token_ids(17);
    answer.add_logprobs()->add_tokens()->set_value(-0.5);
    answer.add_grounding(0.25);
    response.mutable_interventions()->mutable_vcd()->set_steps(99);
    return grpc::Status::OK;
  };
  const Response r = server.Connect().Ask(Ask("Who?"));
  EXPECT_EQ(r.model, "tiny");
  EXPECT_EQ(r.image_tokens, 9);
  EXPECT_EQ(r.timings.total, 12.5);
  EXPECT_EQ(r.prompt_token_ids, std::vector<int32_t>{1});
  EXPECT_EQ(r.answers.at(0).finish_reason, FinishReason::kLength);
  EXPECT_EQ(r.answers.at(0).token_ids, std::vector<int32_t>{17});
  EXPECT_EQ(r.answers.at(0).logprobs.at(0).at(0).value, -0.5);
  EXPECT_EQ(r.answers.at(0).grounding, std::vector<double>{0.25});
  EXPECT_EQ(r.interventions.vcd.value().steps, 99);
}

TEST(Client, AnAnswerWithoutAnswersIsDataLoss) {
  FakeServer server;
  EXPECT_THROW(server.Connect().Ask(Ask("Who?")), Error);
}

TEST(Client, PutsStreamsTogether) {
  FakeServer server;
  server.on_generate = [](FakeServer::Writer& writer, grpc::ServerContext&) {
    v1::GenerateResponse started;
    started.mutable_started()->set_model("tiny");
    writer.Write(started);
    writer.Write(DeltaMessage("a "));
    writer.Write(DeltaMessage("other", 1));
    writer.Write(DeltaMessage("key"));
    writer.Write(FinishedMessage());
    return grpc::Status::OK;
  };
  std::string seen;
  const Response r = server.Connect().Generate(
      Ask("Who?"), {.on_delta = [&](const Delta& delta) { seen += delta.text; }});
  EXPECT_EQ(seen, "a otherkey");
  ASSERT_EQ(r.answers.size(), 2u);
  EXPECT_EQ(r.answers[0].text, "a key");
  EXPECT_EQ(r.answers[0].token_ids, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(r.answers[0].finish_reason, FinishReason::kLength);
  EXPECT_EQ(r.prompt_tokens, 5);
  EXPECT_EQ(r.model, "tiny");
}

TEST(Client, TriesAgainWithTheSameIdUntilTheServerTakesIt) {
  FakeServer server;
  std::set<std::string> ids;
  server.on_ask = [&](v1::AskResponse& response) {
    ids.insert(server.request_id);
    if (server.calls == 1) return grpc::Status(StatusCode::UNAVAILABLE, "about to stop");
    if (server.calls == 2)
      return StatusWith().RetryAfter(3).Of(StatusCode::RESOURCE_EXHAUSTED, "full");
    return OneAnswer(response);
  };
  EXPECT_EQ(server.Connect().Ask(Ask("Who?")).answers.at(0).text, "a key");
  EXPECT_EQ(server.calls, 3);
  EXPECT_EQ(ids.size(), 1u);
}

TEST(Client, DoesNotTryAgainWhatStaysWrong) {
  FakeServer server;
  for (const StatusCode code : {StatusCode::INVALID_ARGUMENT, StatusCode::RESOURCE_EXHAUSTED,
                                StatusCode::INTERNAL, StatusCode::UNAUTHENTICATED}) {
    server.calls = 0;
    server.on_ask = [&](v1::AskResponse&) { return grpc::Status(code, "no"); };
    const CallError error = Failure([&] { server.Connect().Ask(Ask("Who?")); });
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code));
    EXPECT_EQ(server.calls, 1);
  }
}

TEST(Client, GivesUpAfterItsAttempts) {
  FakeServer server;
  server.on_ask = [](v1::AskResponse&) { return grpc::Status(StatusCode::UNAVAILABLE, "no"); };
  Client client = server.Connect({.retry = {.attempts = 3}});
  const CallError error = Failure([&] { client.Ask(Ask("Who?"), {.request_id = "my-id"}); });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.request_id(), "my-id");
  EXPECT_EQ(server.calls, 3);
}

TEST(Client, DoesNotWaitBeyondTheDeadline) {
  FakeServer server;
  server.on_ask = [](v1::AskResponse&) {
    return StatusWith().RetryAfter(900).Of(StatusCode::RESOURCE_EXHAUSTED, "full");
  };
  const auto start = std::chrono::steady_clock::now();
  Client client = server.Connect();
  const CallError error = Failure([&] { client.Ask(Ask("Who?"), {.timeout = milliseconds(500)}); });
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_EQ(error.retry_delay(), milliseconds(900));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(500));
  EXPECT_EQ(server.calls, 1);
}

TEST(Client, TellsItsOwnDeadlineFromTheServers) {
  FakeServer server;
  server.on_ask = [](v1::AskResponse&) {
    return grpc::Status(StatusCode::DEADLINE_EXCEEDED, "a limit of the server");
  };
  EXPECT_EQ(Failure([&] { server.Connect().Ask(Ask("Who?")); }).message(), "a limit of the server");
  server.on_ask = [](v1::AskResponse&) {
    std::this_thread::sleep_for(milliseconds(200));
    return grpc::Status::OK;
  };
  Client client = server.Connect({.timeout = milliseconds(20)});
  const CallError error = Failure([&] { client.Ask(Ask("Who?")); });
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  EXPECT_NE(error.message().find("no answer within 0.02 s"), std::string::npos) << error.message();
}

TEST(Client, CallsAtTheSameTimeShareAConnection) {
  FakeServer server;
  server.on_generate = [](FakeServer::Writer& writer, grpc::ServerContext&) {
    for (int i = 0; i < 20; ++i) writer.Write(DeltaMessage("a "));
    writer.Write(FinishedMessage());
    return grpc::Status::OK;
  };
  Client client = server.Connect();
  std::atomic<int> whole = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j)
        whole += client.Generate(Ask("Who?")).answers.at(0).token_ids.size() == 20 ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(whole, 160);
}

TEST(Client, AStreamThatHasBegunIsNotRepeated) {
  FakeServer server;
  server.on_generate = [](FakeServer::Writer& writer, grpc::ServerContext&) {
    writer.Write(DeltaMessage("a "));
    return grpc::Status(StatusCode::UNAVAILABLE, "gone");
  };
  const CallError error = Failure([&] { server.Connect().Generate(Ask("Who?")); });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(server.calls, 1);
}

TEST(Client, CancelsWhenTheObserverSaysSo) {
  FakeServer server;
  std::atomic<bool> cancelled = false;
  server.on_generate = [&](FakeServer::Writer& writer, grpc::ServerContext& context) {
    writer.Write(DeltaMessage("a "));
    for (int i = 0; i < 5000 && !context.IsCancelled(); ++i)
      std::this_thread::sleep_for(milliseconds(1));
    cancelled = context.IsCancelled();
    return grpc::Status::OK;
  };
  std::string seen;
  const Response r = server.Connect().Generate(
      Ask("Who?"), {.on_delta = [&](const Delta& delta) { seen += delta.text; },
                    .keep_going = [&] { return seen.empty(); }});
  EXPECT_EQ(r.answers.at(0).text, "a ");
  EXPECT_EQ(r.answers.at(0).finish_reason, FinishReason::kCancelled);

  seen.clear();
  Client client = server.Connect();
  const CallError error = Failure([&] {
    client.Generate(Ask("Who?"), {.on_delta = [&](const Delta& d) { seen += d.text; }},
                    {.keep_going = [&] { return seen.empty(); }});
  });
  EXPECT_EQ(error.code(), Code::kCancelled);
}

TEST(Client, ThrowsWhatTheObserverThrows) {
  FakeServer server;
  server.on_generate = [](FakeServer::Writer& writer, grpc::ServerContext& context) {
    while (!context.IsCancelled() && writer.Write(DeltaMessage("a "))) continue;
    return grpc::Status::OK;
  };
  Client client = server.Connect();
  EXPECT_THROW(client.Generate(Ask("Who?"),
                               {.on_delta = [](const Delta&) { throw std::runtime_error("no"); }}),
               std::runtime_error);
}

TEST(Client, TellsAllFaultsByTheNamesOfOptionsAndPictures) {
  FakeServer server;
  server.on_ask = [](v1::AskResponse&) {
    return StatusWith()
        .Violation("sampling.temperature", "is -1, expected 0 to 100")
        .Violation("images[1]", "is no picture")
        .Violation("interventions.var.p", "is 2, expected 0 to 1")
        .Of(StatusCode::INVALID_ARGUMENT, "sampling.temperature is -1, … (and 2 more faults)");
  };
  const Request request =
      Ask("Who?", {ImageInput::FromBytes("a", "a.png"), ImageInput::FromBytes("b", "b.png")});
  const CallError error = Failure([&] { server.Connect().Ask(request); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.option(), "temperature");
  EXPECT_EQ(
      error.message(),
      "temperature is -1, expected 0 to 100; b.png: is no picture; var.p is 2, expected 0 to 1");
  ASSERT_EQ(error.violations().size(), 3u);
  EXPECT_EQ(error.violations()[2].field, "interventions.var.p");
}

TEST(Client, UploadsInPieces) {
  FakeServer server;
  const std::string bytes(700'000, 'x');
  const UploadedPicture kept = server.Connect().Upload(ImageInput::FromBytes(bytes));
  EXPECT_EQ(kept.bytes, 700'000);
  EXPECT_EQ(kept.id, server.metadata.id());
  EXPECT_EQ(kept.id.size(), 64u);
  EXPECT_EQ(server.uploaded, bytes);
  EXPECT_EQ(server.metadata.bytes(), 700'000);
  EXPECT_THROW(server.Connect().Upload(UploadedImage("abc")), Error);

  server.on_upload = [&] {
    return server.calls < 4 ? grpc::Status(StatusCode::UNAVAILABLE, "not now") : grpc::Status::OK;
  };
  server.Connect().Upload(ImageInput::FromBytes(bytes));
  EXPECT_EQ(server.uploaded, bytes) << "sent again";
}

TEST(Client, RefusesConstraintsThatAreNotUtf8) {
  FakeServer server;
  server.on_ask = OneAnswer;
  Request request = Ask("a");
  const auto option = [&](const Constraint& constraint) {
    request.constraint = constraint;
    try {
      server.Connect().Ask(request);
    } catch (const Error& error) {
      return error.option();
    }
    return std::string("none");
  };
  EXPECT_EQ(option(Choices{{"yes", "n\xFFo"}}), "choices");
  EXPECT_EQ(option(Regex{"\xC0"}), "regex");
  EXPECT_EQ(server.calls, 0);
  EXPECT_EQ(option(Regex{"ä"}), "none");
}

TEST(Client, RefusesOptionsOutOfRange) {
  const auto option = [](const ClientOptions& options) {
    try {
      Client::Connect(options);
    } catch (const Error& error) {
      return std::string(CodeName(error.code())) + " " + error.option();
    }
    return std::string("none");
  };
  EXPECT_EQ(option({.target = ""}), "INVALID_ARGUMENT target");
  EXPECT_EQ(option({.tls_ca = "nowhere"}), "NOT_FOUND tls_ca");
  EXPECT_EQ(option({.tls_key = "key.pem"}), "INVALID_ARGUMENT tls_certificate");
  EXPECT_EQ(option({.token = "two words"}), "INVALID_ARGUMENT token");
  EXPECT_EQ(option({.timeout = milliseconds(-1)}), "INVALID_ARGUMENT timeout");
  EXPECT_EQ(option({.retry = {.attempts = 0}}), "INVALID_ARGUMENT attempts");
  EXPECT_EQ(option({.retry = {.initial_backoff = milliseconds(9), .max_backoff = milliseconds(8)}}),
            "INVALID_ARGUMENT initial_backoff");
  EXPECT_EQ(option({.max_message_bytes = 10}), "INVALID_ARGUMENT max_message_bytes");
  EXPECT_EQ(option({.keepalive = milliseconds(10)}), "INVALID_ARGUMENT keepalive");
  EXPECT_EQ(option({}), "none");
}

}  // namespace
}  // namespace binocle
