// What handlers share: the models, the options, and the server's state.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "service/common/waiting.h"
#include "service/common/work_room.h"
#include "service/http/body_room.h"
#include "service/http/exchange.h"
#include "service/http/http_error.h"
#include "service/http/http_server.h"
#include "service/http/json_scan.h"

namespace binocle::http {

// Places for work that a connection's thread does itself.
class WorkPlaces {
 public:
  using About = WorkAbout;

  // Of each kind at most `max_waiting` wait.
  WorkPlaces(int64_t places, int64_t max_waiting) : room_(places), max_waiting_(max_waiting) {}

  // Waits for a place; false when `keep_going` says no. Throws RESOURCE_EXHAUSTED where too many wait.
  bool Take(About about, const std::function<bool()>& keep_going);
  void Give(About about);

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  WorkRoom room_;
  std::array<int64_t, 2> waiting_{};
  const int64_t max_waiting_;
};

struct ServerState {
  const ModelList models;
  HttpOptions options;
  HttpCallbacks callbacks;
  BodyRoom parsing{options.max_bodies_bytes / 2};
  const std::shared_ptr<WaitingBytes> waiting = std::make_shared<WaitingBytes>();  // with queues
  WorkPlaces places{options.workers, options.max_waiting_work};
  std::atomic<bool> draining = false;
  std::atomic<bool> aborting = false;  // the patience of Drain() is over
  std::atomic<int64_t> requests = 0, active = 0, cancelled = 0, slow = 0;
};

// A client that left while we worked for it. Nobody reads the reply.
struct ClientIsGone {};

inline constexpr const char* kJsonType = "application/json";

// Room for `bytes` of a whole reply among all that wait for their clients, which is waited for a little. Throws RESOURCE_EXHAUSTED where there
// is none, ClientIsGone.
std::shared_ptr<WaitingShare> AwaitRoom(ServerState& state, const Exchange& exchange,
                                        int64_t bytes);
// With room for it.
void ReplyLong(ServerState& state, Exchange& exchange, std::string body);
// Short ones, that need none.
void ReplyJson(Exchange& exchange, int status, const Json& json);
void ReplyError(Exchange& exchange, const HttpError& error);

// What `parse` makes of the body's text, which is gone then; the body keeps its share of the room.
template <typename Parse>
auto ParseInTurn(ServerState& state, Body& body, const Parse& parse) {
  constexpr int64_t kLittle = 256 << 10;  // is not worth waiting for
  const int64_t bytes = ParsingBytes(body.text, ScanJson(body.text));
  const BodyRoom::Share share = bytes > kLittle ? state.parsing.Await(bytes) : BodyRoom::Share();
  return parse(std::move(body.text), state.options.limits);
}

// Handlers of the endpoints. They throw binocle::Error and ClientIsGone.
void HandleChat(ServerState& state, Exchange& exchange, const std::string& request_id);
void HandleEmbeddings(ServerState& state, Exchange& exchange);
void HandleExplain(ServerState& state, Exchange& exchange);
void HandleModels(ServerState& state, Exchange& exchange);

}  // namespace binocle::http
