// cpp-httplib's server with our connections: it accepts, parses and writes; everything else is a handler's.
//
// Written for the versions 0.11 (Debian 12) to 0.17 (Ubuntu 24.04 has 0.14). What we replace is process_and_close_socket(), which owns a
// connection, because the library's own has no deadlines for heads and bodies, no limit for chunked bodies, and nothing by which a
// handler could see that its client is gone; and its loop that accepts, which ends for good at the first error but EMFILE.
#pragma once

#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "service/http/connection.h"
#include "service/http/exchange.h"

namespace binocle::http {

struct ListenerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: one that is free
  int64_t max_connections = 256;
  int64_t max_body_bytes = int64_t{64} << 20;
  int64_t max_read_bytes = int64_t{256} << 20;  // of all bodies while they are read, together
  ConnectionLimits limits;
};

// What is known of a request when it is over.
struct FinishedExchange {
  bool handled = false;  // by Handlers::handle; else the library has refused it
  std::string method, path, remote;
  std::string request_id, traceparent;  // headers, of the answer and of the request
  std::string caller;                   // Exchange::SetCaller
  int status = 0;
  bool cut = false;  // the client left, or was too slow
  int64_t bytes = 0;
  std::chrono::steady_clock::duration time{};
};

class Listener : private httplib::Server {
 public:
  struct Handlers {
    std::function<void(Exchange&)> handle;
    // What is refused before it is handled (a head that is none, a method that the library does not know): the status is given, and why
    // where that is known; the body is the handler's.
    std::function<std::string(int status, const std::string& why)> refuse;
    std::function<std::string()> new_request_id;  // of such
    std::function<void(const FinishedExchange&)> finished;
  };

  // Binds; throws UNAVAILABLE when the address is taken, INVALID_ARGUMENT when it is none.
  Listener(const ListenerOptions& options, Handlers handlers);
  ~Listener() override;

  int port() const { return port_; }
  int64_t connections() const { return connections_; }
  int64_t refused() const { return refused_; }

  // Ends idle connections, waits for the others, and accepts no more.
  void Stop();
  // Requests that have begun to come have some seconds left.
  void Hurry() { hurry_ = true; }
  // Breaks the connections that are there.
  void Break();

 private:
  class HttplibExchange;

  void AcceptAll();

  bool process_and_close_socket(socket_t sock) override;
  // Whether the client is still sending.
  enum class Rest { kNone, kLeft };
  // `late`: others have all the room, and what is asked for is only told how the server is.
  Rest Serve(Connection& connection, bool late);
  void RefuseConnection(socket_t sock);
  void Handle(const httplib::Request& request, httplib::Response& response,
              const httplib::ContentReader* reader);
  void SetHandlers();

  ListenerOptions options_;
  Handlers handlers_;
  int stop_fd_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  std::set<socket_t> sockets_;  // of open connections
  BodyRoom reading_;
  std::atomic<int64_t> connections_ = 0;
  std::atomic<int64_t> refused_ = 0;
  std::atomic<bool> hurry_ = false;
  std::thread accepting_;
  std::thread::id accepting_id_;  // written before the first connection
};

}  // namespace binocle::http
