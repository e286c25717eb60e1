// The endpoints that answer in one piece.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binocle/busy_error.h"
#include "service/http/explain_response.h"
#include "service/http/openai_request.h"
#include "service/http/openai_response.h"
#include "service/http/request_context.h"

namespace binocle::http {
namespace {

constexpr std::string_view kModelPrefix = "/v1/models/";

// Looks whether the client of work that blocks is still there, and whether there is time left for it.
class GoneWatch {
 public:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  GoneWatch(ServerState& state, Exchange& exchange, Deadline deadline = {})
      : state_(state), exchange_(exchange), deadline_(deadline) {}

  bool KeepGoing() {
    if (!gone_ && exchange_.PeerIsGone()) {
      gone_ = true;
      ++state_.cancelled;
    }
    return !gone_ && !state_.aborting && !late();
  }
  void CheckClient() const {
    if (gone_) throw ClientIsGone{};
  }
  bool late() const { return deadline_ && std::chrono::steady_clock::now() >= *deadline_; }

 private:
  ServerState& state_;
  Exchange& exchange_;
  const Deadline deadline_;
  bool gone_ = false;
};

Error TookTooLong() {
  return {Code::kDeadlineExceeded, "request: its deadline passed before it was done"};
}

// Holds one of the server's places for as long as the work takes.
class Place {
 public:
  Place(ServerState& state, WorkPlaces::About about, GoneWatch& watch)
      : places_(state.places), about_(about) {
    if (places_.Take(about, [&] { return watch.KeepGoing(); })) return;
    watch.CheckClient();
    if (watch.late()) throw TookTooLong();
    throw Error(Code::kUnavailable, "the server is shutting down");
  }
  ~Place() { places_.Give(about_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  WorkPlaces& places_;
  WorkPlaces::About about_;
};

// The same error about the body's name for what it is about: the engine calls a text "text" and a picture by its place.
Error OfEmbedding(const Error& error, const EmbeddingInput& input) {
  const std::string& message = error.message();
  if (error.option() == "pooling" && message.starts_with("pooling")) {
    const std::string name = "binocle.pooling";
    return Error(error.code(), name + message.substr(error.option().size()), name);
  }
  for (const std::string_view own : {"text: ", "prompt: "}) {
    if (message.starts_with(own))
      return Error(error.code(), input.place + ": " + message.substr(own.size()), input.place);
  }
  if (message.starts_with(input.place))
    return Error(error.code(), message, message.substr(0, message.find_first_of(": ")));
  return error;
}

Embedding EmbeddingOf(ModelBackend& model, const EmbeddingInput& input,
                      const EmbeddingOptions& options, const ModelBackend::KeepGoing& keep_going) {
  try {
    return input.image ? model.EmbedImage(*input.image, options, keep_going)
                       : model.EmbedText(input.text, options, keep_going);
  } catch (const BusyError&) {
    throw;  // in no other words, which would make another error of it
  } catch (const Error& error) {
    throw OfEmbedding(error, input);
  }
}

}  // namespace

bool WorkPlaces::Take(About about, const std::function<bool()>& keep_going) {
  constexpr std::chrono::milliseconds kLook{50};
  std::unique_lock lock(mutex_);
  int64_t& waiting = waiting_[static_cast<size_t>(about)];
  if (room_.FreeFor(about) == 0 && waiting >= max_waiting_) {
    throw BusyError("queue: " + std::to_string(waiting) + " requests wait, as many as may");
  }
  ++waiting;
  bool going_on = true;
  while (room_.FreeFor(about) == 0 && going_on) {
    changed_.wait_for(lock, kLook);
    going_on = keep_going();
  }
  --waiting;
  if (going_on) room_.Take(about);
  return going_on;
}

void WorkPlaces::Give(About about) {
  const std::lock_guard lock(mutex_);
  room_.Give(about);
  changed_.notify_all();
}

std::shared_ptr<WaitingShare> AwaitRoom(ServerState& state, const Exchange& exchange,
                                        int64_t bytes) {
  // As long as a client would wait before another attempt; what others hold goes when they have read it, or are cut off.
  constexpr std::chrono::milliseconds kPatience{2'000}, kLook{50};
  const auto share = std::make_shared<WaitingShare>(state.options.waiting, state.waiting);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!share->TryAdd(bytes)) {
    if (exchange.PeerIsGone()) throw ClientIsGone{};
    if (state.aborting || std::chrono::steady_clock::now() >= deadline)
      throw BusyError("replies: as many bytes wait for clients that read as may");
    std::this_thread::sleep_for(kLook);
  }
  return share;
}

void ReplyLong(ServerState& state, Exchange& exchange, std::string body) {
  exchange.Keep(AwaitRoom(state, exchange, static_cast<int64_t>(body.size())));
  exchange.Reply(200, std::move(body), kJsonType);
}

void ReplyJson(Exchange& exchange, int status, const Json& json) {
  exchange.Reply(status, Line(json), kJsonType);
}

void ReplyError(Exchange& exchange, const HttpError& error) {
  constexpr int kUnauthorized = 401;
  if (error.status == kUnauthorized)
    exchange.SetHeader("WWW-Authenticate", "Bearer");  // RFC 9110, 15.5.2
  if (error.retry_after_seconds)
    exchange.SetHeader("Retry-After", std::to_string(*error.retry_after_seconds));
  ReplyJson(exchange, error.status, ErrorJson(error));
}

void HandleModels(ServerState& state, Exchange& exchange) {
  if (exchange.path() == "/v1/models")
    return ReplyJson(exchange, 200, ModelsJson(state.models.all()));
  const std::string id = exchange.path().substr(kModelPrefix.size());
  ReplyJson(exchange, 200, ModelJson(state.models.Find(id)));
}

void HandleEmbeddings(ServerState& state, Exchange& exchange) {
  // Its share stays until the reply: what was in it waits here.
  Body body = exchange.ReadBody();
  const EmbeddingRequest request = ParseInTurn(state, body, ParseEmbeddingRequest);
  ModelBackend& model = *state.models.Find(request.model).backend;
  GoneWatch watch(state, exchange);
  const auto keep_going = [&] { return watch.KeepGoing(); };
  const bool pictures = std::any_of(request.inputs.begin(), request.inputs.end(),
                                    [](const EmbeddingInput& i) { return i.image.has_value(); });
  const Place place(state, pictures ? WorkPlaces::About::kPictures : WorkPlaces::About::kWords,
                    watch);
  std::vector<Embedding> embeddings;
  try {
    for (const EmbeddingInput& input : request.inputs)
      embeddings.push_back(EmbeddingOf(model, input, request.options, keep_going));
  } catch (const Error&) {
    watch.CheckClient();
    throw;
  }
  ReplyLong(state, exchange, Line(EmbeddingsJson(request, embeddings)));
}

void HandleExplain(ServerState& state, Exchange& exchange) {
  Body body = exchange.ReadBody();  // its share stays until the reply
  ExplainRequest request = ParseInTurn(state, body, ParseExplainRequest);
  ModelBackend& model = *state.models.Find(request.chat.model).backend;
  model.LimitTime(request.chat.request);
  GoneWatch watch(state, exchange, request.chat.request.deadline);
  const Place place(state, WorkPlaces::About::kPictures, watch);
  try {
    const Explanation explanation =
        model.Explain(request.chat.request, request.options, [&] { return watch.KeepGoing(); });
    watch.CheckClient();
    ReplyLong(state, exchange, Line(ExplanationJson(explanation)));
  } catch (const BusyError&) {
    throw;
  } catch (const Error& error) {
    watch.CheckClient();
    if (error.code() == Code::kCancelled && watch.late()) throw TookTooLong();
    throw InBodyTerms(error, request.chat);
  }
}

}  // namespace binocle::http
