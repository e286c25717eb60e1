// A server of loaded models: gRPC (proto/binocle/v1, KServe v2, health, reflection) and HTTP (OpenAI's shapes, metrics, a page).
//
//   auto engine = std::make_shared<binocle::Engine>(binocle::Engine::Load("models/binocle-tiny", {}));
//   auto server = binocle::Server::Start({{"tiny", engine}}, {.listen = "127.0.0.1:0", .http = "127.0.0.1:0"});
//   std::cout << server->grpc_port() << ' ' << server->http_port();
//   …
//   server->Drain(std::chrono::seconds(30));   // on SIGTERM
//
// The library is libbinocle_server, beside libbinocle. Functions throw binocle::Error; Error::option() names the option.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/engine.h"
#include "binocle/export.h"

namespace binocle {

struct ServedModel {
  std::string name;                // what requests call it
  std::shared_ptr<Engine> engine;  // owned together with the server and whoever else uses it
};

// Ranges are inclusive.
struct ServerOptions {
  // HOST:PORT; port 0 takes one that is free; empty: none. One of the two at least. gRPC takes "unix:PATH" too.
  std::string listen = "127.0.0.1:50051";
  std::string http = "127.0.0.1:8080";

  // PEM files. With the first two gRPC speaks TLS; with the third its clients need a certificate of that authority. HTTP stays plain.
  std::string tls_certificate, tls_key, tls_client_ca;
  // A file of bearer tokens with limits (docs/service.md), for both. Empty: everybody may call.
  std::string tokens;

  int64_t max_message_bytes = int64_t{64} << 20;         // 1024 … 2147483647: a message, a body
  int64_t max_request_image_bytes = int64_t{256} << 20;  // 1 …: all pictures of a request
  int64_t max_prompt_bytes = int64_t{4} << 20;           // 1 …: all texts of a request
  int64_t max_connections = 256;                         // 1 … 65536, of HTTP: each has a thread
  int64_t image_store_bytes = int64_t{512} << 20;        // 0 …: uploaded pictures
  int64_t workers = 2;  // 1 … 256: calls of Embed and Explain at a time, of gRPC and of HTTP
  std::vector<std::string> allow_files;  // directories whose files `file:` URIs may name
  std::string cors_origin;               // pages of this origin may call HTTP; "*": all

  std::chrono::milliseconds request_timeout{
      0};  // 0 …: a request that takes longer fails; 0: none does
  std::chrono::milliseconds stall_limit{
      30'000};  // 1000 … 3600000: of a client that does not read, or does not send what it began
  // Pings that find dead peers; clients may ping as often as the last one. Their pairs: docs/service.md.
  std::chrono::milliseconds keepalive_interval{20'000};
  std::chrono::milliseconds keepalive_timeout{10'000};
  std::chrono::milliseconds keepalive_client_interval{10'000};

  // Given one JSON object for each call and for what else happens, without a line break; on any thread, several at a time. May be empty.
  std::function<void(std::string_view)> log;
};

// Checks what can be checked without listening or loading: values, files of tokens and of TLS.
BINOCLE_EXPORT void CheckOptions(const ServerOptions& options);

class BINOCLE_EXPORT Server {
 public:
  // Listens when it returns; the first model is the default. INVALID_ARGUMENT for options that cannot be, NOT_FOUND for files that are not
  // there, UNAVAILABLE for an address that cannot be had.
  static std::unique_ptr<Server> Start(std::vector<ServedModel> models,
                                       const ServerOptions& options);
  // Cancels what is under way.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // 0 where there is none.
  int grpc_port() const;
  int http_port() const;

  // From now on new requests are refused (UNAVAILABLE, 503, with a time to retry after) and health says NOT_SERVING; waits for those under
  // way and stops listening. True when they all ended in time, else the rest was cancelled.
  bool Drain(std::chrono::milliseconds patience);

  // Engine::Failure of the first engine that has one. Within a second of it /readyz is 503 with its words, gRPC's health NOT_SERVING, and requests over gRPC are refused; `log` is given an event
  // "failed". What is left to do is to drain, and to end.
  std::optional<std::string> Failure() const;

  // Prometheus' text format, as /metrics gives it.
  std::string MetricsText() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace binocle
