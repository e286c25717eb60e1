// /v1/chat/completions: one request on its way from the body to the engine's events and back.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "binocle/busy_error.h"
#include "service/common/random_id.h"
#include "service/http/event_queue.h"
#include "service/http/openai_request.h"
#include "service/http/openai_response.h"
#include "service/http/request_context.h"

namespace binocle::http {
namespace {

// How soon a client's leaving is noticed while there is nothing to send.
constexpr std::chrono::milliseconds kLook{50};

int64_t SecondsSince1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What a reply is likely to have, of which log-probabilities are most: {"token":"a","logprob":-1.2345678901234567,"bytes":[97]}, and a comma.
int64_t LineBytes(const Response& response) {
  constexpr size_t kCandidateBytes = 72;
  size_t bytes = 0;
  for (const Answer& answer : response.answers) {
    bytes += answer.text.size();
    for (const auto& step : answer.logprobs) bytes += step.size() * kCandidateBytes;
  }
  return static_cast<int64_t>(bytes);
}

// A request that was submitted. Leaves the engine nothing to do for a client that is gone.
class RunningChat {
 public:
  RunningChat(ServerState& state, const NamedModel& model, ChatRequest chat, ReplyHead head)
      : state_(state),
        model_(model),
        chat_(std::move(chat)),
        head_(std::move(head)),
        queue_(std::make_shared<EventQueue>(state.options.waiting, state.waiting)) {
    const Deltas deltas = chat_.stream ? Deltas::kWanted : Deltas::kUnwanted;
    Request request = std::move(chat_.request);
    // Of a small vocabulary there are not as many candidates; more than these the client asked for.
    int64_t& logprobs = request.generation.logprobs;
    if (logprobs <= kLogprobCandidates)
      logprobs = std::min(logprobs, model.backend->info().vocabulary);
    chat_.request.generation =
        request.generation;  // the reply goes by it; the rest is the engine's
    try {
      cancel_ = model.backend->Submit(std::move(request), EventsInto(queue_, deltas));
    } catch (const BusyError&) {
      throw;  // in no other words, which would make another error of it
    } catch (const Error& error) {
      throw InBodyTerms(error, chat_);
    }
  }
  // Here and not where it is noticed: the library may find the client gone and never ask for the stream.
  ~RunningChat() {
    if (over_) return;
    cancel_();
    if (!given_up_) ++state_.cancelled;
  }
  RunningChat(const RunningChat&) = delete;
  RunningChat& operator=(const RunningChat&) = delete;

  const ChatRequest& chat() const { return chat_; }
  const ReplyHead& head() const { return head_; }
  // Its client does not read as fast as the engine writes.
  bool slow() const { return queue_->overflowed(); }
  TokenTexts texts() const {
    return [this](int32_t id) { return model_.backend->TokenText(id); };
  }

  // The next event; throws the error that ends the request, and ClientIsGone when `gone` says so first.
  ChatEvent Next(const std::function<bool()>& gone) {
    for (;;) {
      if (state_.aborting) {
        given_up_ = true;
        throw Error(Code::kUnavailable,
                    "the server is shutting down, and the answer took too long");
      }
      std::optional<ChatEvent> event = queue_->Pop(kLook);
      if (event) return Checked(*std::move(event));
      if (gone()) throw ClientIsGone{};
    }
  }

 private:
  ChatEvent Checked(ChatEvent event) {
    if (const auto* error = std::get_if<Error>(&event)) {
      // The error for a client that reads too slowly is the queue's; the engine is still at work then.
      const bool slow = queue_->overflowed();
      if (slow) ++state_.slow;
      given_up_ = slow;
      over_ = !slow;
      throw InBodyTerms(*error, chat_);
    }
    const auto* response = std::get_if<Response>(&event);
    if (response == nullptr) return event;
    over_ = true;
    for (const Answer& answer : response->answers) {
      if (answer.finish_reason == FinishReason::kCancelled)
        throw Error(Code::kCancelled, "the request was cancelled by the server");
    }
    return event;
  }

  ServerState& state_;
  const NamedModel& model_;
  ChatRequest chat_;
  ReplyHead head_;
  std::shared_ptr<EventQueue> queue_;  // owned with the engine, see EventsInto
  ModelBackend::Cancel cancel_;
  bool over_ = false;      // for the engine
  bool given_up_ = false;  // by us, not by the client
};

bool SendAll(EventStream& stream, const std::vector<std::string>& events) {
  for (const std::string& event : events) {
    if (!stream.Send(event)) return false;
  }
  return true;
}

// Sends events until the end; false: the client is gone.
bool SendEvents(RunningChat& running, std::optional<ChatEvent> event, EventStream& stream) {
  ChunkWriter writer(running.head(), running.chat(), running.texts());
  const auto gone = [&stream] { return stream.PeerIsGone(); };
  if (!SendAll(stream, writer.Begin())) return false;
  for (;; event.reset()) {
    if (!event) event = running.Next(gone);
    if (auto* delta = std::get_if<DeltaEvent>(&*event)) {
      const std::string chunk = writer.Delta(std::move(*delta));
      if (!chunk.empty() && !stream.Send(chunk)) return false;
    } else if (const auto* response = std::get_if<Response>(&*event)) {
      const std::vector<std::string> last = writer.Finish(*response);
      stream.Ending();
      return SendAll(stream, last);
    }
  }
}

bool SendFailure(const RunningChat& running, const HttpError& error, EventStream& stream) {
  constexpr int kClientsDoing = 499;
  stream.Failed(running.slow() ? kClientsDoing : error.status);
  stream.Ending();
  return stream.Send(ChunkWriter::Failure(error));
}

// Runs after the handler; nothing may come out of it.
bool StreamChat(RunningChat& running, ChatEvent first, EventStream& stream) {
  try {
    return SendEvents(running, std::move(first), stream);
  } catch (const ClientIsGone&) {
    return false;
  } catch (const Error& error) {
    return SendFailure(running, ToHttpError(error), stream);
  } catch (const std::exception& error) {
    return SendFailure(running, ToHttpError(Error(Code::kInternal, error.what())), stream);
  }
}

// The body's share of the room goes with this function: what was in it is in the engine's queue then.
std::shared_ptr<RunningChat> Submitted(ServerState& state, Exchange& exchange,
                                       const std::string& request_id) {
  Body body = exchange.ReadBody();
  ChatRequest chat = ParseInTurn(state, body, ParseChatRequest);
  const NamedModel& model = state.models.Find(chat.model);
  chat.request.id = request_id;
  ReplyHead head{.id = "chatcmpl-" + RandomId(),
                 .created = SecondsSince1970(),
                 .model = model.name,
                 .fingerprint = model.fingerprint};
  return std::make_shared<RunningChat>(state, model, std::move(chat), std::move(head));
}

}  // namespace

void HandleChat(ServerState& state, Exchange& exchange, const std::string& request_id) {
  // Owned by the reply, which may be written after this function.
  const std::shared_ptr<RunningChat> running = Submitted(state, exchange, request_id);
  const auto gone = [&exchange] { return exchange.PeerIsGone(); };
  ChatEvent event = running->Next(gone);
  if (running->chat().stream) {
    // What failed up to here has a status of its own; later failures are events.
    exchange.Stream([running, first = std::move(event)](EventStream& stream) {
      return StreamChat(*running, first, stream);
    });
    return;
  }
  while (!std::holds_alternative<Response>(event)) event = running->Next(gone);
  // The response and what is made of it are there together, for a moment; the room is for both.
  const int64_t both = BytesOf(event) + LineBytes(std::get<Response>(event));
  const std::shared_ptr<WaitingShare> share = AwaitRoom(state, exchange, both);
  std::string line =
      CompletionLine(running->head(), running->chat(), std::get<Response>(event), running->texts());
  event = Started{};
  share->Remove(both);
  share->Add(static_cast<int64_t>(line.size()));
  exchange.Keep(share);
  exchange.Reply(200, std::move(line), kJsonType);
}

}  // namespace binocle::http
