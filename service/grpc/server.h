// The gRPC server.
//
//   auto server = GrpcServer::Start(ModelList({{"tiny", MakeEngineBackend(engine)}}), {.listen = "127.0.0.1:0"});
//   std::cout << server->port();
//   …
//   server->Drain(std::chrono::seconds(30));   // on SIGTERM
//   server->Stop();
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "service/common/model_backend.h"
#include "service/common/token_list.h"
#include "service/common/waiting.h"
#include "service/grpc/call_gate.h"
#include "service/grpc/convert_request.h"
#include "service/grpc/image_store.h"
#include "service/grpc/tls.h"

namespace binocle {

// Pings that find dead peers. Each side's pair must fit the other's: a client that pings more often than `client_interval` allows is cut
// off with ENHANCE_YOUR_CALM (too_many_pings).
struct KeepaliveOptions {
  std::chrono::milliseconds interval{20'000};  // the server pings a silent client after so long …
  std::chrono::milliseconds timeout{
      10'000};  // … and closes when no answer comes: together below 30 s
  std::chrono::milliseconds client_interval{
      10'000};  // clients may ping as often as this, also without calls
};

struct GrpcServerOptions {
  // HOST:PORT, with port 0 for one that is free; or "unix:PATH", a socket file.
  std::string listen = "127.0.0.1:0";
  std::optional<TlsOptions> tls;    // absent: plain
  std::optional<TokenList> tokens;  // absent: everybody may call
  KeepaliveOptions keepalive;
  RequestLimits limits;
  ImageStoreOptions images;                       // max_image_bytes is that of limits
  std::vector<std::string> allow_files;           // directories whose files `file:` URIs may name
  int64_t max_message_bytes = int64_t{64} << 20;  // 1024 … 2147483647, either way
  int64_t max_image_pixels = 100'000'000;         // told to clients; the engine enforces its own
  size_t max_queued_messages = 1024;              // 1 …: of one stream
  // Of replies that wait for their clients: one that is longer than all of it is never sent. Where it is taken, who has not read gives way.
  WaitingLimits waiting{.each = int64_t{64} << 10, .together = int64_t{256} << 20};
  // A client may keep a write, whatever its length, or an upload waiting for so long.
  std::chrono::milliseconds stall_limit{30'000};
  int64_t max_requests = 272;   // 1 …: that all models together take, queued and running
  int workers = 2;              // 1 … 256: Embed and Explain run on these
  size_t max_queued_work = 16;  // and so many wait
  CallGate::OnCall on_call;     // may be empty
};

class GrpcServer {
 public:
  // Binds and serves. Throws INVALID_ARGUMENT for options that cannot be, UNAVAILABLE when the address cannot be had.
  static std::unique_ptr<GrpcServer> Start(ModelList models, GrpcServerOptions options);
  // Stops.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // Of TCP; 0 for a socket file.
  int port() const;
  int64_t in_flight() const;
  // Connections for which there was no file descriptor.
  int64_t refused_connections() const;
  ImageStoreCounters images() const;

  // Health says NOT_SERVING, new requests are UNAVAILABLE with a retry delay, those under way go on.
  void StartDraining();
  // The same, and waits. True when all ended in time.
  bool Drain(std::chrono::milliseconds patience);
  // Cancels what is under way and returns when nothing is. May be called again.
  void Stop();

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace binocle
