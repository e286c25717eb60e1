// The HTTP server: OpenAI's interface, health, metrics, explanations and one page, over the models that it is given.
//
//   HttpServer server(models, {.port = 8080}, {});
//   std::cout << server.port();
//   …
//   server.Drain(std::chrono::seconds(30));
//
// Endpoints, statuses and limits: docs/http.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "service/common/model_backend.h"
#include "service/http/event_queue.h"
#include "service/http/http_error.h"
#include "service/http/openai_messages.h"

namespace binocle::http {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;                                // 0: one that is free
  int64_t max_connections = 256;               // each has a thread; more get 503
  int64_t max_body_bytes = int64_t{64} << 20;  // more get 413
  // Of all bodies together: a half while they are read, where more get 429, and a half while they are parsed, where they wait.
  int64_t max_bodies_bytes = int64_t{512} << 20;
  int64_t workers = 2;             // embeddings and explanations at a time; others wait
  int64_t max_waiting_work = 256;  // of them; more get 429
  std::chrono::milliseconds idle_timeout{30'000};  // of a connection between two requests
  std::chrono::milliseconds head_timeout{10'000};  // of a request's headers
  std::chrono::milliseconds body_timeout{
      30'000};  // of its body, beside the time that its bytes have at 16 KiB/s
  std::chrono::milliseconds write_timeout{30'000};  // of a client that does not read
  WaitingLimits waiting{.each = int64_t{1} << 20, .together = int64_t{256} << 20};
  // Of Access-Control-Allow-Origin, such as "https://example.org" or "*". Empty: pages of other origins get nothing.
  std::string cors_origin;
  RequestLimits limits;
};

struct HttpLogEntry {
  std::string request_id;   // as the client gave it in X-Request-Id, or made here
  std::string traceparent;  // W3C trace context, as the client gave it; may be empty
  std::string caller;       // the key's name, or empty
  std::string method, path, remote;
  int status = 0;
  bool cut = false;  // the client left, or was too slow
  int64_t bytes = 0;
  double milliseconds = 0;
};

struct Admission {
  std::string name;                  // of the key, for the log
  std::shared_ptr<void> lease;       // let go of when the reply is written; may be null
  std::optional<HttpError> refusal;  // of a key that is known
};

// All may be empty, and are called from many threads at a time.
struct HttpCallbacks {
  // Given the bearer key, empty when there is none; throws binocle::Error, UNAUTHENTICATED for 401. Empty: every key will do.
  std::function<Admission(std::string_view key)> authorize;
  std::function<std::string()> metrics;                 // the text of /metrics
  std::function<bool()> ready;                          // of /readyz, beside draining
  std::function<std::optional<std::string>()> failure;  // likewise: why it will never be again
  std::function<void(const HttpLogEntry&)> log;
};

// The endpoint's path, as metrics call it; "other" for a path that is none, "/v1/models/" for one model.
std::string EndpointOf(std::string_view path);

struct HttpStats {
  int64_t connections = 0;  // open
  int64_t refused = 0;      // for want of room
  int64_t requests = 0;     // begun
  int64_t active = 0;       // not ended
  int64_t cancelled = 0;    // whose client left
  int64_t slow = 0;         // whose client read too slowly
};

class HttpServer {
 public:
  // Listens when it returns. Throws UNAVAILABLE when the port is taken.
  HttpServer(ModelList models, const HttpOptions& options, HttpCallbacks callbacks);
  // Drains without waiting, and stops.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  HttpStats stats() const;

  // New requests get 503 with Retry-After from now on; waits for those under way, then cancels what is left. True when nothing had to be
  // cancelled. What needs no model is answered until Stop.
  bool Drain(std::chrono::milliseconds patience);
  // Stops listening and ends every connection. After Drain.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace binocle::http
