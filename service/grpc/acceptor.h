// Accepts the connections that gRPC serves.
//
//   Acceptor acceptor("127.0.0.1:0");                                   // bound
//   auto gate = builder.experimental().AddExternalConnectionAcceptor(…);
//   …                                                                   // the server is started
//   acceptor.Start(std::move(gate));
//
// gRPC's own listener (up to 1.5x at least) stops for good when accept() fails, which it does when the process has no file descriptor
// left: a thousand idle connections would end the service of a process that may have 1,024. This one leaves some descriptors free for
// everything else, closes connections that would take them, and goes on.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace grpc::experimental {
class ExternalConnectionAcceptor;
}

namespace binocle {

class Acceptor {
 public:
  // Binds and listens: at HOST:PORT (every address of the name; port 0: one that is free) or at unix:PATH, whose file is replaced when
  // nobody listens there any more. Throws INVALID_ARGUMENT when it is no address, UNAVAILABLE when it cannot be had.
  explicit Acceptor(const std::string& listen);
  // Stops.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Of TCP; 0 for a socket file.
  int port() const { return port_; }
  // Connections closed at once, for want of descriptors.
  int64_t refused() const { return refused_; }

  // Hands what is accepted to `gate`, whose server has been started. A TCP connection whose peer takes none of what is sent to it for `stall_limit` ends
  // there: the system gives it up, since gRPC cannot end a call, nor ask whether somebody lives, over a connection that takes nothing.
  void Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> gate,
             std::chrono::milliseconds stall_limit);
  // No connection is handed over after this. May be called again.
  void Stop();

 private:
  class Socket;

  void ListenAtFile(const std::string& path);
  void ListenAtPort(const std::string& listen);
  void Run();
  void Accept(int listening);

  std::vector<Socket> sockets_;
  int port_ = 0;
  std::string file_;  // of a socket file
  ino_t file_id_ = 0;
  int stop_fd_ = -1;
  int stall_limit_ = 0;  // milliseconds
  std::atomic<int64_t> refused_ = 0;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> gate_;
  std::thread thread_;
};

}  // namespace binocle
